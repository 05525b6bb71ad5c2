use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use updraft_core::fetch::FetchRules;
use updraft_core::identity::federation::OidcIssuer;
use updraft_core::{Bus, PasswordHashing, Policy, RateLimits, SecurityCompliance};
use updraft_store::{DatabaseUrl, StoreError};

use crate::bus::{self, BusSection};
use crate::compliance::Compliance;
use crate::error::Error;
use crate::federation::{Federation, Oidc};
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
    /// Who may be given tokens of users that somebody else vouches for.
    #[serde(default)]
    federation: Federation,
    #[serde(default = "default_token_lifetime_s")]
    token_lifetime_s: u64,
    /// How new passwords are hashed; hashes of the other kind are good until their owner next logs in.
    #[serde(default)]
    password_hash: PasswordHash,
    /// Bcrypt's cost; 2^cost rounds.
    #[serde(default = "default_bcrypt_cost")]
    bcrypt_cost: u32,
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
    /// The broker that several controllers and outside consumers share; without it nudges stay in the process.
    bus: Option<BusSection>,
    #[serde(skip)]
    path: PathBuf,
}

/// `password_hash`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PasswordHash {
    #[default]
    Argon2id,
    /// For users who may go back to a Keystone.
    Bcrypt,
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

/// Keystone's.
fn default_bcrypt_cost() -> u32 {
    12
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
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 10..=16;
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
        if !BCRYPT_COST.contains(&self.bcrypt_cost) {
            return refuse(format!("bcrypt_cost must be in {BCRYPT_COST:?}"));
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
        self.trusted_dashboards()?;
        self.database()?;
        self.bus()?;
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
        let issuer = |oidc: &Oidc| {
            let secret = self.secret("oidc.client_secret_file", oidc.client_secret_file.as_deref())?;
            oidc.core(secret).map_err(|problem| Error::setting(&self.path, String::from(problem)))
        };
        self.oidc.iter().map(issuer).collect()
    }

    fn trusted_dashboards(&self) -> Result<Vec<String>, Error> {
        self.federation.trusted_dashboards().map_err(|problem| Error::setting(&self.path, problem))
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

    /// What carries nudges and notifications.
    pub fn bus(&self) -> Result<Bus, Error> {
        match &self.bus {
            None => Ok(Bus::default()),
            Some(section) => {
                let password = self.secret("bus.password_file", section.password_file.as_deref())?;
                section.bus(password.as_deref()).map_err(|problem| Error::setting(&self.path, problem))
            }
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
            password_hashing: match self.password_hash {
                PasswordHash::Argon2id => PasswordHashing::Argon2id,
                PasswordHash::Bcrypt => PasswordHashing::Bcrypt { cost: self.bcrypt_cost },
            },
            token_key_rotation: (self.token_key_rotation_s != 0)
                .then(|| Duration::from_secs(self.token_key_rotation_s)),
            host_credential: self.host_credential()?.map(Into::into),
            host_key: self.secret("host_key_file", self.host_key_file.as_deref())?.map(Into::into),
            agent_authority: self.agent_authority()?,
            oidc_issuers: self.oidc_issuers()?,
            trusted_dashboards: self.trusted_dashboards()?,
            novnc_directory: self.novnc_dir.clone(),
            audit_retention: Duration::from_secs(self.audit_retention_days * 86_400),
            allowed_origins: self.allowed_origins.clone(),
            rate_limits: self.rate_limits,
            security_compliance: self.security_compliance()?,
            policy: self.policy()?,
            max_waiting_notifications: self
                .bus
                .as_ref()
                .map_or_else(bus::default_max_waiting_notifications, |bus| bus.max_waiting_notifications),
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
    use std::path::Path;

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
    fn row_13_a_program_of_its_own_looks_at_images() {
        let config = load(LEAST).unwrap().core().unwrap();
        assert_eq!(config.image_scanner.as_deref(), Some(Path::new("/proc/self/exe")));
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
            ("password_hash = 'md5'", "password_hash"),
            ("bcrypt_cost = 4", "bcrypt_cost"),
            ("max_image_gib = 0", "max_image_gib"),
            ("audit_retention_days = 0", "audit_retention_days"),
            ("image_lease_s = 0", "image_lease_s"),
            ("web_download = { allowed_networks = ['10.0.0.0/40'] }", "web_download"),
            ("public_endpoint = 'cloud.example'", "public_endpoint"),
            ("admin_password_file = '/nonexistent/password'", "admin_password_file"),
            ("policy_file = '/nonexistent/policy.yaml'", "policy.yaml"),
            ("allowed_origins = ['*']", "allowed_origins"),
            ("allowed_origins = ['https://dashboard.example/path']", "allowed_origins"),
            ("bus = { url = 'http://broker' }", "bus.url"),
            ("bus = { url = 'amqp://cloud:secret@broker/' }", "bus.url"),
            ("bus = { url = 'amqp://cloud@broker/', topic = '' }", "bus.topic"),
            ("bus = { url = 'amqp://cloud@broker/', exchange = 'amq.topic' }", "bus.exchange"),
            ("bus = { url = 'amqp://cloud@broker/', ca_file = '/nonexistent/ca' }", "bus.ca_file"),
            ("bus = { url = 'amqp://cloud@broker/', password_file = '/dev/null' }", "bus.password_file"),
            ("bus = { url = 'amqp://cloud@broker/', max_waiting_notifications = 0 }", "max_waiting"),
            ("bus = { uri = 'amqp://cloud@broker/' }", "uri"),
            ("[rate_limits]\nrequests_per_planet = 1", "requests_per_planet"),
            ("[security_compliance]\npassword_regex = 'a(?=b)'", "password_regex"),
            ("[federation]\ntrusted_dashboard = ['horizon.example']", "trusted_dashboard"),
            (
                "[[oidc]]\nissuer = 'i'\naudiences = ['a']\njwks_file = '/k'\nclient_id = 'a'",
                "token_endpoint",
            ),
            ("[security_compliance]\nlockout_failure_attempts = 0", "lockout_failure_attempts"),
        ] {
            let problem = load(&format!("{LEAST}{line}\n")).unwrap_err();
            assert!(problem.contains(named) && !problem.contains("secret"), "{line}: {problem}");
        }
    }
}
