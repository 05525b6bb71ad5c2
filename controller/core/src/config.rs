use std::path::PathBuf;
use std::time::Duration;

use crate::Policy;
use crate::fetch::FetchRules;
use crate::identity::PasswordRegex;
use crate::identity::federation::OidcIssuer;

/// What the operator sets, already checked (`updraft-controller check-config`).
#[derive(Clone, Debug)]
pub struct Config {
    /// The URL at which clients reach the controller, without a slash at the end, for catalog and version
    /// documents. `None`: as the request came in (`X-Forwarded-Proto`/`-Host`, else `Host`).
    pub public_endpoint: Option<String>,
    /// The one region of this cloud.
    pub region: String,
    /// Where image files lie, one per image, named by its id.
    pub images_directory: PathBuf,
    /// Where the keys lie that credentials in the database are encrypted with.
    pub credential_keys_directory: PathBuf,
    /// The largest image that may be uploaded, in bytes.
    pub max_image_bytes: u64,
    /// How long a writer of image data or a worker on an import may be silent before it counts as dead.
    pub image_lease: Duration,
    /// The program that looks at image data in a jail: the controller itself. `None`: in this process, for tests.
    pub image_scanner: Option<PathBuf>,
    /// Where tenants' URLs may lead.
    pub fetch: FetchRules,
    /// How long a token lives. Exchanging it for another never makes it live longer.
    pub token_lifetime: Duration,
    /// How often the keys that tokens are made with are rotated. `None`: by the operator alone.
    pub token_key_rotation: Option<Duration>,
    /// What one host's agent proves itself with at `/host/v1`, and what is shown to it: the host that a cloud of one
    /// machine has. Others enrol.
    pub host_credential: Option<Secret>,
    /// What is shown to the agents of all other hosts is derived from it; the same for all controllers. `None`: no
    /// other host may enrol.
    pub host_key: Option<Secret>,
    /// The authority (PEM) that agents' certificates must be of, where agents are reached by `https://`. `None`: the
    /// authorities that the system trusts.
    pub agent_authority: Option<Vec<u8>>,
    /// Whose ID tokens are believed.
    pub oidc_issuers: Vec<OidcIssuer>,
    /// Where noVNC lies, served for graphical consoles.
    pub novnc_directory: Option<PathBuf>,
    /// How long audit events are kept.
    pub audit_retention: Duration,
    /// Origins (`https://dashboard.example`) whose scripts may use the APIs (CORS); none by default.
    pub allowed_origins: Vec<String>,
    pub rate_limits: RateLimits,
    pub security_compliance: SecurityCompliance,
    /// Who may do what.
    pub policy: Policy,
}

/// What is asked of passwords and accounts (Keystone's `[security_compliance]`); nothing by default.
#[derive(Clone, Debug, Default)]
pub struct SecurityCompliance {
    /// What a password must look like, and the same in words for whoever chose another.
    pub password_regex: Option<PasswordRegex>,
    pub password_regex_description: Option<String>,
    /// A password that an administrator set is good for nothing but to be changed.
    pub change_password_upon_first_use: bool,
    /// How long a password is good.
    pub password_expires_days: Option<u32>,
    /// How long a user must keep a password that it chose itself.
    pub minimum_password_age_days: u32,
    /// A new password is none of that many, the present one among them; 0 lets it be any.
    pub unique_last_password_count: usize,
    /// Logins by password that may fail in a row before the account is locked.
    pub lockout_failure_attempts: Option<u32>,
    /// How long it is locked then; `None`: until an administrator enables the user.
    pub lockout_duration: Option<Duration>,
    /// A user who did not log in for that long counts as disabled.
    pub disable_user_account_days_inactive: Option<u32>,
}

/// How many requests a minute each controller takes; `None` is no limit. As many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// From one network address. Behind a balancer that hides addresses all clients share it.
    pub requests_per_address: Option<u32>,
    pub requests_per_user: Option<u32>,
    pub requests_per_project: Option<u32>,
    /// Attempts to log in from one network address, whether they succeed or not.
    pub logins_per_address: Option<u32>,
}

/// Generous: what many clients behind one address may need, and far from what a guesser would like.
const LOGINS_PER_ADDRESS: u32 = 3000;

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            requests_per_address: None,
            requests_per_user: None,
            requests_per_project: None,
            logins_per_address: Some(LOGINS_PER_ADDRESS),
        }
    }
}

/// A text that stays out of logs and panics.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself; compare it in constant time.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Horizon keeps one token for a whole session, so an hour would log people out at work.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Days, not hours: each key that is kept makes the check of junk a little dearer.
const TOKEN_KEY_ROTATION: Duration = Duration::from_secs(24 * 3600);
/// A controller that restarts takes its own imports up again after this.
const IMAGE_LEASE: Duration = Duration::from_secs(30);
/// 1 TiB.
const MAX_IMAGE_BYTES: u64 = 1 << 40;
/// A year.
const AUDIT_RETENTION: Duration = Duration::from_secs(365 * 86_400);

impl Config {
    /// The defaults, with images under `images_directory`.
    pub fn new(images_directory: PathBuf) -> Self {
        Self {
            public_endpoint: None,
            region: "RegionOne".into(),
            credential_keys_directory: images_directory.with_file_name("credential-keys"),
            images_directory,
            max_image_bytes: MAX_IMAGE_BYTES,
            image_lease: IMAGE_LEASE,
            image_scanner: None,
            fetch: FetchRules::default(),
            token_lifetime: TOKEN_LIFETIME,
            token_key_rotation: Some(TOKEN_KEY_ROTATION),
            host_credential: None,
            host_key: None,
            agent_authority: None,
            oidc_issuers: Vec::new(),
            novnc_directory: None,
            audit_retention: AUDIT_RETENTION,
            allowed_origins: Vec::new(),
            rate_limits: RateLimits::default(),
            security_compliance: SecurityCompliance::default(),
            policy: Policy::default(),
        }
    }
}
