//! What a token says, and its binary form.

/// How the bearer proved who it is; several for a token that was exchanged for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Password,
    Token,
    ApplicationCredential,
    Totp,
    /// An assertion of an identity provider, by OpenID Connect.
    OpenId,
    /// An assertion of an identity provider, under any other name of its protocol.
    Mapped,
    /// A signed request.
    Ec2Credential,
}

/// What the token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Unscoped,
    Project(String),
    Domain(String),
    System,
}

/// What stands between the bearer and its rights, if not its own assignments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Grant {
    #[default]
    Own,
    /// The id of a trust.
    Trust(String),
    /// The id of an application credential.
    ApplicationCredential(String),
    Federated(Federated),
}

/// What an identity provider said of the bearer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Federated {
    pub idp_id: String,
    pub protocol_id: String,
    /// The bearer's groups for as long as the token lives; at most [`MAX_FEDERATED_GROUPS`].
    pub group_ids: Vec<String>,
}

/// The content of a token. Roles are not in it: they are looked up at each use, so that a revoked role
/// is gone at the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub user_id: String,
    pub scope: Scope,
    pub grant: Grant,
    pub methods: Vec<Method>,
    /// Microseconds since the epoch.
    pub issued_at_us: i64,
    /// Microseconds since the epoch.
    pub expires_at_us: i64,
    /// This token, then the first token of its chain of exchanges.
    pub audit_ids: Vec<String>,
}

/// Groups in the token of a federated user. More would make tokens too long for a header.
pub const MAX_FEDERATED_GROUPS: usize = 64;

/// The first byte of the binary form; a new form takes the next number.
const FORM: u8 = 2;
/// Audit ids in a token: its own and its first ancestor's.
const MAX_AUDIT_IDS: usize = 2;

impl Method {
    pub const ALL: [Self; 7] = [
        Self::Password,
        Self::Token,
        Self::ApplicationCredential,
        Self::Totp,
        Self::OpenId,
        Self::Mapped,
        Self::Ec2Credential,
    ];

    /// Keystone's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
            Self::ApplicationCredential => "application_credential",
            Self::Totp => "totp",
            Self::OpenId => "openid",
            Self::Mapped => "mapped",
            Self::Ec2Credential => "ec2credential",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::Token => 2,
            Self::ApplicationCredential => 4,
            Self::Totp => 8,
            Self::OpenId => 16,
            Self::Mapped => 32,
            Self::Ec2Credential => 64,
        }
    }

    pub(crate) fn bits(methods: &[Self]) -> u8 {
        methods.iter().fold(0, |bits, method| bits | method.bit())
    }

    pub(crate) fn of_bits(bits: u8) -> Vec<Self> {
        Self::ALL.into_iter().filter(|method| bits & method.bit() != 0).collect()
    }
}

impl Claims {
    /// form, methods (bits), user, scope kind, scope id, grant, issued, expires, audit ids; texts carry their
    /// length in one byte, numbers are big endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORM, Method::bits(&self.methods)];
        put_text(&mut out, &self.user_id);
        let (kind, id) = match &self.scope {
            Scope::Unscoped => (0, ""),
            Scope::Project(id) => (1, id.as_str()),
            Scope::Domain(id) => (2, id.as_str()),
            Scope::System => (3, ""),
        };
        out.push(kind);
        put_text(&mut out, id);
        self.grant.encode(&mut out);
        out.extend(self.issued_at_us.to_be_bytes());
        out.extend(self.expires_at_us.to_be_bytes());
        for audit_id in self.audit_ids.iter().take(MAX_AUDIT_IDS) {
            put_text(&mut out, audit_id);
        }
        out
    }

    /// `None` for anything that [`Self::encode`] does not write.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let [FORM, bits] = take(&mut bytes)? else { return None };
        let methods = Method::of_bits(bits);
        let user_id = take_text(&mut bytes)?;
        let [kind] = take(&mut bytes)?;
        let scope_id = take_text(&mut bytes)?;
        let scope = match kind {
            0 => Scope::Unscoped,
            1 => Scope::Project(scope_id),
            2 => Scope::Domain(scope_id),
            3 => Scope::System,
            _ => return None,
        };
        let grant = Grant::decode(&mut bytes)?;
        let issued_at_us = i64::from_be_bytes(take(&mut bytes)?);
        let expires_at_us = i64::from_be_bytes(take(&mut bytes)?);
        let mut audit_ids = Vec::new();
        while !bytes.is_empty() && audit_ids.len() < MAX_AUDIT_IDS {
            audit_ids.push(take_text(&mut bytes)?);
        }
        (bytes.is_empty() && !audit_ids.is_empty()).then_some(Self {
            user_id,
            scope,
            grant,
            methods,
            issued_at_us,
            expires_at_us,
            audit_ids,
        })
    }
}

impl Grant {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Own => out.push(0),
            Self::Trust(id) => {
                out.push(1);
                put_text(out, id);
            }
            Self::ApplicationCredential(id) => {
                out.push(2);
                put_text(out, id);
            }
            Self::Federated(federated) => {
                out.push(3);
                put_text(out, &federated.idp_id);
                put_text(out, &federated.protocol_id);
                let groups = &federated.group_ids[..federated.group_ids.len().min(MAX_FEDERATED_GROUPS)];
                out.push(u8::try_from(groups.len()).unwrap_or(u8::MAX));
                for group in groups {
                    put_text(out, group);
                }
            }
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let [kind] = take(bytes)?;
        Some(match kind {
            0 => Self::Own,
            1 => Self::Trust(take_text(bytes)?),
            2 => Self::ApplicationCredential(take_text(bytes)?),
            3 => {
                let (idp_id, protocol_id) = (take_text(bytes)?, take_text(bytes)?);
                let [count] = take(bytes)?;
                let group_ids = (0..count).map(|_| take_text(bytes)).collect::<Option<_>>()?;
                Self::Federated(Federated { idp_id, protocol_id, group_ids })
            }
            _ => return None,
        })
    }
}

/// Ids are at most 64 bytes where they are made; a longer one is cut and then simply not found.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend(bytes);
}

pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

pub(crate) fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let [length] = take(bytes)?;
    let (head, rest) = bytes.split_at_checked(usize::from(length))?;
    *bytes = rest;
    String::from_utf8(head.to_vec()).ok()
}
