use crate::Timestamp;

/// "The trustee may act with these roles of the trustor in this project."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    pub id: String,
    pub trustor_user_id: String,
    pub trustee_user_id: String,
    /// `None`: the token of this trust has neither project nor roles.
    pub project_id: Option<String>,
    /// Tokens of the trust are the trustor's instead of the trustee's.
    pub impersonation: bool,
    pub expires_at: Option<Timestamp>,
    /// Tokens that may still be made; `None` for any number.
    pub remaining_uses: Option<i64>,
    /// How many trusts may still follow from this one, each from the one before.
    pub redelegation_count: i64,
    /// The trust that this one was made with.
    pub redelegated_trust_id: Option<String>,
    pub role_ids: Vec<String>,
}
