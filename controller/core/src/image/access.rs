//! Who sees an image at all, and what rules are asked about it, filled from the database. Rules decide among what is the
//! caller's own, offered to it, or everybody's, and about the rest for administrators alone: a rule that forgets to
//! ask for the project opens nobody's private images.

use updraft_model::image::{Image, ImageStatus, Visibility};
use updraft_store::Conn;
use updraft_store::image::{member, record};

use crate::policy::{Service, Target, refusal};
use crate::{Caller, Core, Error, Result};

/// An image, and what it is to the caller's project.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub image: Image,
    /// The caller's project, when it is one of those that the image is offered to.
    member_id: Option<String>,
}

impl Found {
    /// An image of a list, which holds those of others that are shared only when they are offered.
    pub fn listed(caller: &Caller, image: Image) -> Self {
        let is_own = caller.project_id.as_deref() == Some(&image.owner);
        let is_offered = image.visibility == Visibility::Shared && !is_own && !is_admin(caller);
        let member_id = caller.project_id.clone().filter(|_| is_offered);
        Self { image, member_id }
    }

    pub fn target(&self) -> Target<'_> {
        Target {
            visibility: Some(self.image.visibility.as_str()),
            member_id: self.member_id.as_deref(),
            ..Target::of_project(&self.image.owner)
        }
    }

    pub fn may(&self, caller: &Caller, rule: &str) -> bool {
        caller.may(rule, &self.target())
    }

    /// 403 when the rule does not let the caller, 404 when it may not even see the image.
    pub fn enforce(&self, caller: &Caller, rule: &str) -> Result<()> {
        if self.may(caller, rule) {
            return Ok(());
        }
        let is_seen = rule != "get_image" && self.may(caller, "get_image");
        Err(if is_seen { refusal(Service::Image, rule) } else { not_found(&self.image.id) })
    }
}

/// One image that the caller may see; 404 for any other.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Image> {
    visible(&mut core.read().await?, caller, id).await
}

/// Where the data lies is shown with an image; of a deactivated one to administrators alone.
pub fn sees_stores(caller: &Caller, image: &Image) -> bool {
    image.status != ImageStatus::Deactivated || is_admin(caller)
}

pub(super) fn not_found(id: &str) -> Error {
    Error::not_found("ImageNotFound", format!("No image found with ID {id}"))
}

/// One image that is not kept from the caller; what it may do with it is for rules to say.
pub(super) async fn find(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Found> {
    let image = record::get(conn, id).await?.ok_or_else(|| not_found(id))?;
    let member_id = match (&caller.project_id, image.visibility) {
        (Some(project_id), Visibility::Shared) => {
            member::get(conn, &image.id, project_id).await?.map(|member| member.member_id)
        }
        _ => None,
    };
    let is_open = match image.visibility {
        Visibility::Public | Visibility::Community => true,
        Visibility::Shared | Visibility::Private => member_id.is_some(),
    };
    let is_own = caller.project_id.as_deref() == Some(&image.owner);
    if is_open || is_own || is_admin(caller) { Ok(Found { image, member_id }) } else { Err(not_found(id)) }
}

pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Image> {
    allowed(conn, caller, id, "get_image").await
}

/// One image that the rule lets the caller do something with.
pub(super) async fn allowed(conn: &mut Conn, caller: &Caller, id: &str, rule: &str) -> Result<Image> {
    let found = find(conn, caller, id).await?;
    found.enforce(caller, rule)?;
    Ok(found.image)
}

/// Whether the caller is an administrator of images.
pub(super) fn is_admin(caller: &Caller) -> bool {
    caller.policy.is_admin(caller, Service::Image)
}

/// The rule for making an image visible like this.
pub(super) fn visibility_rule(visibility: Visibility) -> Option<&'static str> {
    match visibility {
        Visibility::Public => Some("publicize_image"),
        Visibility::Community => Some("communitize_image"),
        Visibility::Shared | Visibility::Private => None,
    }
}
