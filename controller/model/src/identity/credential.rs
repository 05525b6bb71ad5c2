/// The type of a credential for signed requests (EC2, S3); its blob is JSON with `access` and `secret`.
pub const EC2: &str = "ec2";
/// The type of a credential for one-time passwords (RFC 6238); its blob is the shared secret in base32.
pub const TOTP: &str = "totp";

/// A secret that a user keeps with the cloud. `sealed_blob` is encrypted: the store never sees what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// For [`EC2`] the SHA-256 of the access key in hexadecimal digits, so that it can be found by that.
    pub id: String,
    pub user_id: String,
    pub project_id: Option<String>,
    pub kind: String,
    pub sealed_blob: String,
}

/// Even sealed, it stays out of logs and panics.
impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
