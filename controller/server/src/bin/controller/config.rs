use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use updraft_core::fetch::FetchRules;
use updraft_core::identity::federation::{JwksSource, OidcIssuer};
use updraft_core::{Policy, RateLimits, SecurityCompliance};
use updraft_store::{DatabaseUrl, StoreError};

use crate::compliance::Compliance;
use crate::error::Error;
use crate::tls::{Certificate, TlsFiles};

/// The configuration file. Unknown keys are refused; secrets are in files of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the APIs are served.
    pub listen: SocketAddr,
    /// SQLite's file (made when it is missing), or `mysql://USER@HOST:PORT/DATABASE`; see [`DatabaseUrl`].
    database: String,
    /// What the database server asks the user for.
    database_password_file: Option<PathBuf>,
    /// Where images lie.
    pub images_dir: PathBuf,
    /// Where the token keys lie; made when it is missing.
    pub keys_dir: PathBuf,
    /// The certificate to serve with; in clear when absent.
    pub tls: Option<TlsFiles>,
    /// Where the keys lie that credentials in the database are encrypted with; made when it is missing. Beside
    /// `keys_dir` when absent.
    credential_keys_dir: Option<PathBuf>,
    /// How clients reach us, for links and the catalog; as each request came in when absent.
    public_endpoint: Option<String>,
    #[serde(default = "default_region")]
    region: String,
    /// Read when the cloud has no administrator yet.
    admin_password_file: Option<PathBuf>,
    /// What the one host of this configuration proves itself with. Others enrol.
    host_credential_file: Option<PathBuf>,
    /// What is shown to the agents of hosts that enrolled is derived from it; the same for all controllers.
    host_key_file: Option<PathBuf>,
    /// The authority of agents' certificates, PEM; where agents are on other machines.
    agent_ca_file: Option<PathBuf>,
    /// The web console's folder; graphical consoles have no page of their own without it.
    novnc_dir: Option<PathBuf>,
    /// Origins whose scripts may use the APIs, such as `https://dashboard.example`.
    #[serde(default)]
    allowed_origins: Vec<String>,
    /// Requests a minute; see `updraft_core::RateLimits`.
    #[serde(default)]
    rate_limits: RateLimits,
    /// What is asked of passwords and accounts.
    #[serde(default)]
    security_compliance: Compliance,
    /// Changes to OpenStack's default rules: YAML, as oslo.policy reads it.
    policy_file: Option<PathBuf>,
    /// Whose ID tokens are believed (OpenID Connect).
    #[serde(default)]
    oidc: Vec<Oidc>,
    #[serde(default = "default_token_lifetime_s")]
    token_lifetime_s: u64,
    /// How long audit events are kept.
    #[serde(default = "default_audit_retention_days")]
    audit_retention_days: u64,
    /// How often the token keys are rotated, in seconds; 0: by `tokens rotate` alone.
    #[serde(default = "default_token_key_rotation_s")]
    token_key_rotation_s: u64,
    #[serde(default = "default_max_image_gib")]
    max_image_gib: u64,
    /// How long a writer of image data may be silent before it counts as dead.
    #[serde(default = "default_image_lease_s")]
    image_lease_s: u64,
    /// Where tenants' URLs may lead.
    #[serde(default)]
    web_download: WebDownload,
    #[serde(skip)]
    path: PathBuf,
}

/// An issuer of ID tokens. Its keys come from a file or from a URL, which is `https` or on this machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Oidc {
    issuer: String,
    /// Our client ids there.
    audiences: Vec<String>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
}

impl Oidc {
    fn core(&self) -> Result<OidcIssuer, &'static str> {
        let is_local =
            |url: &str| ["http://127.0.0.1:", "http://[::1]:"].iter().any(|start| url.starts_with(start));
        let keys = match (&self.jwks_file, &self.jwks_url) {
            (Some(file), None) => JwksSource::File(file.clone()),
            (None, Some(url)) if url.starts_with("https://") || is_local(url) => JwksSource::Url(url.clone()),
            _ => {
                return Err(
                    "an issuer in [[oidc]] has either jwks_file or jwks_url, and the latter is https",
                );
            }
        };
        if self.issuer.is_empty() || self.audiences.is_empty() {
            return Err("an issuer in [[oidc]] has a name and at least one of audiences");
        }
        Ok(OidcIssuer { issuer: self.issuer.clone(), audiences: self.audiences.clone(), keys })
    }
}

/// `[web_download]`: where `web-download` may go. Private networks are out of reach unless they are allowed here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WebDownload {
    allowed_networks: Vec<IpNet>,
    denied_networks: Vec<IpNet>,
    allowed_hosts: Vec<String>,
    denied_hosts: Vec<String>,
    ports: Option<Vec<u16>>,
    time_limit_s: Option<u64>,
}

impl WebDownload {
    fn rules(&self) -> FetchRules {
        let default = FetchRules::default();
        FetchRules {
            allowed_networks: self.allowed_networks.clone(),
            denied_networks: self.denied_networks.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            denied_hosts: self.denied_hosts.clone(),
            ports: self.ports.clone().unwrap_or(default.ports),
            time_limit: self.time_limit_s.map_or(default.time_limit, Duration::from_secs),
        }
    }
}

fn default_image_lease_s() -> u64 {
    30
}

fn default_region() -> String {
    "RegionOne".to_owned()
}

/// Horizon keeps one token for a whole session.
fn default_token_lifetime_s() -> u64 {
    12 * 3600
}

fn default_token_key_rotation_s() -> u64 {
    24 * 3600
}

fn default_max_image_gib() -> u64 {
    1024
}

fn default_audit_retention_days() -> u64 {
    365
}

const AUDIT_RETENTION_DAYS: std::ops::RangeInclusive<u64> = 1..=36_500;
const TOKEN_LIFETIME_S: std::ops::RangeInclusive<u64> = 60..=7 * 24 * 3600;
const TOKEN_KEY_ROTATION_S: std::ops::RangeInclusive<u64> = 600..=365 * 24 * 3600;
const IMAGE_LEASE_S: std::ops::RangeInclusive<u64> = 1..=600;
const MAX_IMAGE_GIB: std::ops::RangeInclusive<u64> = 1..=64 * 1024;

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::io(format!("cannot read {}", path.display())))?;
        let parsed: Self =
            toml::from_str(&text).map_err(|source| Error::Config { path: path.to_owned(), source })?;
        let config = Self { path: path.to_owned(), ..parsed };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::setting(&self.path, problem));
        if !TOKEN_LIFETIME_S.contains(&self.token_lifetime_s) {
            return refuse(format!("token_lifetime_s must be in {TOKEN_LIFETIME_S:?}"));
        }
        if self.token_key_rotation_s != 0 && !TOKEN_KEY_ROTATION_S.contains(&self.token_key_rotation_s) {
            return refuse(format!("token_key_rotation_s must be 0 or in {TOKEN_KEY_ROTATION_S:?}"));
        }
        if !IMAGE_LEASE_S.contains(&self.image_lease_s) {
            return refuse(format!("image_lease_s must be in {IMAGE_LEASE_S:?}"));
        }
        if !MAX_IMAGE_GIB.contains(&self.max_image_gib) {
            return refuse(format!("max_image_gib must be in {MAX_IMAGE_GIB:?}"));
        }
        if !AUDIT_RETENTION_DAYS.contains(&self.audit_retention_days) {
            return refuse(format!("audit_retention_days must be in {AUDIT_RETENTION_DAYS:?}"));
        }
        if self.region.is_empty() || self.region.len() > 255 {
            return refuse("region must have 1 to 255 bytes".into());
        }
        let url = self.public_endpoint.as_deref().unwrap_or("http://");
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return refuse("public_endpoint must start with http:// or https://".into());
        }
        if let Some(files) = self.tls.clone() {
            Certificate::load(files).map_err(|source| Error::Tls { source })?;
        }
        self.oidc_issuers()?;
        self.database()?;
        self.admin_password()?;
        self.host_credential()?;
        self.agent_authority()?;
        self.secret("host_key_file", self.host_key_file.as_deref())?;
        if let Some(origin) = self.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            return refuse(format!("allowed_origins: '{origin}' is not scheme://host[:port]"));
        }
        self.security_compliance()?;
        self.policy()?;
        Ok(())
    }

    fn security_compliance(&self) -> Result<SecurityCompliance, Error> {
        self.security_compliance.core().map_err(|problem| Error::setting(&self.path, problem))
    }

    fn oidc_issuers(&self) -> Result<Vec<OidcIssuer>, Error> {
        let issuers = self.oidc.iter().map(Oidc::core).collect::<Result<_, _>>();
        issuers.map_err(|problem| Error::setting(&self.path, String::from(problem)))
    }

    /// Where the truth is kept.
    pub fn database(&self) -> Result<DatabaseUrl, Error> {
        let url: DatabaseUrl = self.database.parse().map_err(|error: StoreError| {
            Error::setting(&self.path, format!("database: {}", error.context))
        })?;
        match self.secret("database_password_file", self.database_password_file.as_deref())? {
            Some(_) if url.file().is_some() => {
                Err(Error::setting(&self.path, "database_password_file: a file has no password"))
            }
            Some(password) => Ok(url.with_password(&password)),
            None => Ok(url),
        }
    }

    /// The first administrator's password.
    pub fn admin_password(&self) -> Result<Option<String>, Error> {
        self.secret("admin_password_file", self.admin_password_file.as_deref())
    }

    fn host_credential(&self) -> Result<Option<String>, Error> {
        self.secret("host_credential_file", self.host_credential_file.as_deref())
    }

    fn agent_authority(&self) -> Result<Option<Vec<u8>>, Error> {
        let read = |file: &PathBuf| {
            fs::read(file).map_err(Error::io(format!("cannot read agent_ca_file = {}", file.display())))
        };
        self.agent_ca_file.as_ref().map(read).transpose()
    }

    /// Who may do what: OpenStack's defaults and the operator's changes.
    pub fn policy(&self) -> Result<Policy, Error> {
        Policy::load(self.policy_file.as_deref()).map_err(|source| Error::Policy { source: Box::new(source) })
    }

    fn secret(&self, key: &str, file: Option<&Path>) -> Result<Option<String>, Error> {
        let Some(file) = file else { return Ok(None) };
        let text =
            fs::read_to_string(file).map_err(Error::io(format!("cannot read {key} = {}", file.display())))?;
        match text.trim() {
            "" => Err(Error::setting(&self.path, format!("{key} = {} is empty", file.display()))),
            secret => Ok(Some(secret.to_owned())),
        }
    }

    /// What the use cases need of it.
    pub fn core(&self) -> Result<updraft_core::Config, Error> {
        // The very program that runs now, even when another has taken its place on the disk.
        let scanner = PathBuf::from("/proc/self/exe");
        Ok(updraft_core::Config {
            public_endpoint: self.public_endpoint.clone(),
            region: self.region.clone(),
            images_directory: self.images_dir.clone(),
            credential_keys_directory: self
                .credential_keys_dir
                .clone()
                .unwrap_or_else(|| self.keys_dir.with_file_name("credential-keys")),
            max_image_bytes: self.max_image_gib << 30,
            image_lease: Duration::from_secs(self.image_lease_s),
            image_scanner: Some(scanner),
            fetch: self.web_download.rules(),
            token_lifetime: Duration::from_secs(self.token_lifetime_s),
            token_key_rotation: (self.token_key_rotation_s != 0)
                .then(|| Duration::from_secs(self.token_key_rotation_s)),
            host_credential: self.host_credential()?.map(Into::into),
            host_key: self.secret("host_key_file", self.host_key_file.as_deref())?.map(Into::into),
            agent_authority: self.agent_authority()?,
            oidc_issuers: self.oidc_issuers()?,
            novnc_directory: self.novnc_dir.clone(),
            audit_retention: Duration::from_secs(self.audit_retention_days * 86_400),
            allowed_origins: self.allowed_origins.clone(),
            rate_limits: self.rate_limits,
            security_compliance: self.security_compliance()?,
            policy: self.policy()?,
        })
    }
}

/// `scheme://host[:port]`, as browsers send it. (`*` would let every page speak for whoever reads it.)
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn load(text: &str) -> Result<Config, String> {
        let file = std::env::temp_dir().join(format!("updraft-config-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&file, text).unwrap();
        let result = Config::load(&file).map_err(|error| crate::error::with_causes(&error));
        std::fs::remove_file(&file).unwrap();
        result
    }

    const LEAST: &str = "listen = '127.0.0.1:5000'\ndatabase = '/d'\nimages_dir = '/i'\nkeys_dir = '/k'\n";

    #[test]
    fn the_least_is_enough() {
        let config = load(LEAST).unwrap().core().unwrap();
        assert_eq!(config.region, "RegionOne");
        assert_eq!(config.token_lifetime.as_secs(), 43_200);
    }

    #[test]
    fn a_database_server_may_take_the_place_of_the_file() {
        let text = LEAST.replace("'/d'", "'mysql://cloud@db/updraft?ssl-mode=REQUIRED'");
        let config = load(&text).unwrap();
        assert_eq!(config.database().unwrap().to_string(), "mysql://cloud@db:3306/updraft");
        let problem = load(&LEAST.replace("'/d'", "'mysql://cloud:secret@db/updraft'")).unwrap_err();
        assert!(problem.contains("password") && !problem.contains("secret"), "{problem}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("database_password_file = '/dev/null'", "database_password_file"),
            ("image_dir = '/typo'", "image_dir"),
            ("token_lifetime_s = 5", "token_lifetime_s"),
            ("token_key_rotation_s = 5", "token_key_rotation_s"),
            ("max_image_gib = 0", "max_image_gib"),
            ("audit_retention_days = 0", "audit_retention_days"),
            ("image_lease_s = 0", "image_lease_s"),
            ("web_download = { allowed_networks = ['10.0.0.0/40'] }", "web_download"),
            ("public_endpoint = 'cloud.example'", "public_endpoint"),
            ("admin_password_file = '/nonexistent/password'", "admin_password_file"),
            ("policy_file = '/nonexistent/policy.yaml'", "policy.yaml"),
            ("allowed_origins = ['*']", "allowed_origins"),
            ("allowed_origins = ['https://dashboard.example/path']", "allowed_origins"),
            ("[rate_limits]\nrequests_per_planet = 1", "requests_per_planet"),
            ("[security_compliance]\npassword_regex = 'a(?=b)'", "password_regex"),
            ("[security_compliance]\nlockout_failure_attempts = 0", "lockout_failure_attempts"),
        ] {
            let problem = load(&format!("{LEAST}{line}\n")).unwrap_err();
            assert!(problem.contains(named), "{line}: {problem}");
        }
    }
}
