//! What a token says, and its binary form.

/// How the bearer proved who it is; several for a token that was exchanged for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Password,
    Token,
}

/// What the token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Unscoped,
    Project(String),
    Domain(String),
}

/// The content of a token. Roles are not in it: they are looked up at each use, so that a revoked role
/// is gone at the next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub user_id: String,
    pub scope: Scope,
    pub methods: Vec<Method>,
    /// Microseconds since the epoch.
    pub issued_at_us: i64,
    /// Microseconds since the epoch.
    pub expires_at_us: i64,
    /// This token, then the first token of its chain of exchanges.
    pub audit_ids: Vec<String>,
}

/// The first byte of the binary form; a new form takes the next number.
const FORM: u8 = 1;
/// Audit ids in a token: its own and its first ancestor's.
const MAX_AUDIT_IDS: usize = 2;

impl Method {
    /// Keystone's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::Token => 2,
        }
    }
}

impl Claims {
    /// form, methods (bits), user, scope kind, scope id, issued, expires, audit ids; texts carry their length
    /// in one byte, numbers are big endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORM, self.methods.iter().fold(0, |bits, method| bits | method.bit())];
        put_text(&mut out, &self.user_id);
        let (kind, id) = match &self.scope {
            Scope::Unscoped => (0, ""),
            Scope::Project(id) => (1, id.as_str()),
            Scope::Domain(id) => (2, id.as_str()),
        };
        out.push(kind);
        put_text(&mut out, id);
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
        let methods =
            [Method::Password, Method::Token].into_iter().filter(|method| bits & method.bit() != 0).collect();
        let user_id = take_text(&mut bytes)?;
        let [kind] = take(&mut bytes)?;
        let scope_id = take_text(&mut bytes)?;
        let scope = match kind {
            0 => Scope::Unscoped,
            1 => Scope::Project(scope_id),
            2 => Scope::Domain(scope_id),
            _ => return None,
        };
        let issued_at_us = i64::from_be_bytes(take(&mut bytes)?);
        let expires_at_us = i64::from_be_bytes(take(&mut bytes)?);
        let mut audit_ids = Vec::new();
        while !bytes.is_empty() && audit_ids.len() < MAX_AUDIT_IDS {
            audit_ids.push(take_text(&mut bytes)?);
        }
        (bytes.is_empty() && !audit_ids.is_empty()).then_some(Self {
            user_id,
            scope,
            methods,
            issued_at_us,
            expires_at_us,
            audit_ids,
        })
    }
}

/// Ids are at most 64 bytes where they are made; a longer one is cut and then simply not found.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend(bytes);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let [length] = take(bytes)?;
    let (head, rest) = bytes.split_at_checked(usize::from(length))?;
    *bytes = rest;
    String::from_utf8(head.to_vec()).ok()
}
