//! `glance-download`: the data of an image of another region, and what that region says of it.
//!
//! Where a region's image service is stands in the catalog, which administrators write; the guard of all tenants' URLs
//! looks at the address all the same. The token that it is asked with is made for the errand, in the name of who began
//! the import, and only when that one still has its rights; no token is ever kept.

use std::collections::BTreeMap;

use reqwest::Response;
use serde_json::Value;
use updraft_model::id::is_uuid;
use updraft_model::identity::Interface;
use updraft_model::image::{ContainerFormat, DiskFormat, ImageTask, Measured, OriginImage};
use updraft_token::Grant;

use crate::fetch::{FetchError, Fetcher};
use crate::identity::catalog::{self, Bearer};
use crate::identity::login;
use crate::{Caller, Core, Error, ErrorKind, Result, Secret};

/// The import method's name.
pub(super) const METHOD: &str = "glance-download";
/// What another region says of an image, in bytes at most.
const MAX_DESCRIPTION_BYTES: usize = 1 << 20;
/// Beginnings of the names of properties that are taken over: Glance's default.
const TAKEN_OVER: [&str; 5] = ["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"];

/// An image of another region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteImage {
    region: String,
    image_id: String,
    interface: Interface,
}

impl RemoteImage {
    /// What the import request's `method` names; the words are Glance's.
    ///
    /// # Errors
    /// 400 for what is missing or cannot be.
    pub fn from_method(method: &Value) -> Result<Self> {
        let invalid = |message: String| Error::bad_request("Invalid", message);
        let text = |key: &str| method.get(key).and_then(Value::as_str);
        let needed = |key: &str| {
            text(key).ok_or_else(|| invalid(format!("'{key}' needs to be set for {METHOD} import method")))
        };
        let (region, image_id) = (needed("glance_region")?, needed("glance_image_id")?);
        if !is_uuid(image_id) {
            return Err(invalid(format!("Remote image id does not look like a UUID: {image_id}")));
        }
        let interface = text("glance_service_interface").unwrap_or("public");
        let interface = Interface::parse(interface)
            .ok_or_else(|| invalid(format!("There are no endpoints for the interface '{interface}'.")))?;
        Ok(Self { region: region.to_owned(), image_id: image_id.to_owned(), interface })
    }

    /// Where the region's image service says that the image is.
    ///
    /// # Errors
    /// 404 when the catalog has no such service.
    pub async fn url(&self, core: &Core, bearer: Bearer<'_>) -> Result<String> {
        let missing = || {
            let message = format!(
                "No {} endpoint of an image service is known in the region {}.",
                self.interface.as_str(),
                self.region
            );
            Error::not_found("GlanceEndpointNotFound", message)
        };
        let own = core.config.public_endpoint.as_deref().unwrap_or_default();
        let services = catalog::of_bearer(core, own, bearer).await?;
        let endpoints =
            services.iter().filter(|service| service.kind == "image").flat_map(|service| &service.endpoints);
        let mut found = endpoints.filter(|endpoint| {
            endpoint.interface == self.interface
                && endpoint.region_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(&self.region))
        });
        let url = found.next().map(|endpoint| endpoint.url.trim_end_matches('/')).ok_or_else(missing)?;
        // An address of our own that follows the request says nothing here.
        if url.starts_with('/') {
            return Err(missing());
        }
        Ok(format!("{}/v2/images/{}", url.trim_end_matches("/v2"), self.image_id))
    }

    /// Asks for the image, and begins to read its data; `take` reads the rest, and says what it was.
    ///
    /// # Errors
    /// The image cannot be had, is not active, or is not what its description says; the words are for the tenant.
    pub async fn fetch<F>(
        &self,
        core: &Core,
        task: &ImageTask,
        take: impl FnOnce(Response) -> F,
    ) -> Result<(Measured, OriginImage)>
    where
        F: Future<Output = Result<Measured>>,
    {
        let bearer = Bearer { user_id: &task.user_id, project_id: Some(&task.project_id) };
        let url = self.url(core, bearer).await?;
        let token = login::on_errand(core, &task.user_id, &task.project_id, grant(task)).await;
        let token = token.map_err(|error| match error.kind {
            ErrorKind::Unauthorized => {
                Error::forbidden("Who began the import has no longer the right to it.").because(error)
            }
            _ => error,
        })?;
        let fetcher = Fetcher::new(core.config.fetch.clone());
        let found = describe(&fetcher, &url, &token).await?;
        let data = fetcher.get_with_token(&format!("{url}/file"), &token).await.map_err(failed)?;
        let measured = take(data).await?;
        found.check(&measured)?;
        Ok((measured, found.image))
    }
}

fn grant(task: &ImageTask) -> Grant {
    match (&task.context.trust_id, &task.context.application_credential_id) {
        (Some(id), _) => Grant::Trust(id.clone()),
        (None, Some(id)) => Grant::ApplicationCredential(id.clone()),
        (None, None) => Grant::Own,
    }
}

/// What a task keeps of how its owner came to its rights.
pub(super) fn context(caller: &Caller) -> updraft_model::image::TaskContext {
    updraft_model::image::TaskContext {
        trust_id: caller.trust.as_ref().map(|trust| trust.id.clone()),
        application_credential_id: caller.application_credential.as_ref().map(|found| found.id.clone()),
        origin: None,
    }
}

fn failed(error: FetchError) -> Error {
    let message = format!("The image of the other region could not be had: {error}.");
    Error::bad_request("DownloadFailed", message).because(error)
}

fn unlike(problem: impl Into<String>) -> Error {
    Error::bad_request("DownloadFailed", problem)
}

/// What the other region says of an image.
#[derive(Debug)]
struct Description {
    image: OriginImage,
    size_bytes: u64,
    md5: Option<String>,
    sha512: Option<String>,
}

async fn describe(fetcher: &Fetcher, url: &str, token: &Secret) -> Result<Description> {
    let mut response = fetcher.get_with_token(url, token).await.map_err(failed)?;
    let mut text = Vec::new();
    loop {
        let piece = response.chunk().await;
        match piece.map_err(|source| failed(FetchError::Unreachable { source }))? {
            Some(piece) => text.extend_from_slice(&piece),
            None => break,
        }
        if text.len() > MAX_DESCRIPTION_BYTES {
            return Err(unlike("What the other region says of the image is too long."));
        }
    }
    let said: Value = serde_json::from_slice(&text)
        .map_err(|_| unlike("The other region did not answer with an image."))?;
    Description::read(&said)
}

impl Description {
    fn read(said: &Value) -> Result<Self> {
        let text = |key: &str| said.get(key).and_then(Value::as_str);
        let status = text("status").unwrap_or("none");
        if status != "active" {
            return Err(unlike(format!("Source image status should be active instead of {status}")));
        }
        let disk_format = text("disk_format").and_then(DiskFormat::parse);
        let container_format = text("container_format").and_then(ContainerFormat::parse);
        let (Some(disk_format), Some(container_format)) = (disk_format, container_format) else {
            return Err(unlike("The image of the other region has a format that is not known here."));
        };
        let size = said.get("size").and_then(Value::as_u64);
        let size_bytes = size.ok_or_else(|| unlike("The other region does not say how big the image is."))?;
        let fields = said.as_object().into_iter().flatten();
        let properties: BTreeMap<String, String> = fields
            .filter(|(name, _)| TAKEN_OVER.iter().any(|prefix| name.starts_with(prefix)))
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let is_sha512 = text("os_hash_algo") == Some("sha512");
        Ok(Self {
            image: OriginImage { disk_format, container_format, properties },
            size_bytes,
            md5: text("checksum").map(str::to_owned),
            sha512: text("os_hash_value").filter(|_| is_sha512).map(str::to_owned),
        })
    }

    fn check(&self, measured: &Measured) -> Result<()> {
        if measured.size_bytes != self.size_bytes {
            return Err(unlike(format!(
                "The image of the other region has {} bytes instead of {}.",
                measured.size_bytes, self.size_bytes
            )));
        }
        let differs = |said: &Option<String>, found: &str| {
            said.as_ref().is_some_and(|said| !said.eq_ignore_ascii_case(found))
        };
        if differs(&self.sha512, &measured.sha512) || differs(&self.md5, &measured.md5) {
            return Err(unlike("The image of the other region arrived damaged: its hash is another one."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use updraft_model::image::Measured;

    use super::{Description, RemoteImage};

    #[test]
    fn a_request_names_a_region_and_an_image() {
        let id = "c6ae1dbb-7d3d-4b2d-8f6e-0d5c6a6e9f10";
        RemoteImage::from_method(&json!({"glance_region": "two", "glance_image_id": id})).unwrap();
        for (bad, words) in [
            (json!({"glance_image_id": id}), "'glance_region' needs to be set"),
            (json!({"glance_region": "two"}), "'glance_image_id' needs to be set"),
            (json!({"glance_region": "two", "glance_image_id": "../secret"}), "does not look like a UUID"),
            (
                json!({"glance_region": "two", "glance_image_id": id, "glance_service_interface": "x"}),
                "interface 'x'",
            ),
        ] {
            let refused = RemoteImage::from_method(&bad).unwrap_err();
            assert!(refused.message.contains(words), "{bad}: {refused}");
        }
    }

    #[test]
    fn what_is_said_of_an_image_is_checked_and_little_of_it_is_taken_over() {
        let said = json!({
            "status": "active", "disk_format": "qcow2", "container_format": "bare", "size": 3,
            "checksum": "ab", "os_hash_algo": "sha512", "os_hash_value": "CD", "hw_disk_bus": "virtio",
            "os_distro": "debian", "owner": "them", "os_glance_import_task": "x", "hw_odd": 1,
        });
        let found = Description::read(&said).unwrap();
        let names: Vec<_> = found.image.properties.keys().map(String::as_str).collect();
        assert_eq!(names, ["hw_disk_bus", "os_distro"]);
        let measured = Measured { size_bytes: 3, md5: "ab".into(), sha512: "cd".into() };
        found.check(&measured).unwrap();
        assert!(found.check(&Measured { size_bytes: 4, ..measured.clone() }).is_err());
        assert!(found.check(&Measured { md5: "00".into(), ..measured.clone() }).is_err());
        assert!(found.check(&Measured { sha512: "00".into(), ..measured }).is_err());
        for (key, value) in [
            ("status", json!("queued")),
            ("disk_format", json!("floppy")),
            ("container_format", json!(null)),
            ("size", json!(null)),
        ] {
            let mut other = said.clone();
            other[key] = value;
            assert!(Description::read(&other).is_err(), "{key}");
        }
    }
}
