//! Argon2id in memory that its thread keeps from one hash to the next.

use std::cell::RefCell;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{self, CustomizedPasswordHasher, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// OWASP's least for argon2id: 19 MiB, two passes, one lane.
pub(super) const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Asked for at once, however few of them are used: an allocation of more than 32 MiB is a mapping of its own in glibc,
/// which is gone when it is freed. Smaller ones stay behind in the arena of each thread.
const MAPPED_BLOCKS: usize = 34 * 1024;

/// What hashes are worked out in; empty until the first.
#[derive(Default)]
pub struct Memory {
    blocks: Vec<Block>,
}

impl Memory {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.blocks.len() < count {
            let mut blocks = Vec::with_capacity(count.max(MAPPED_BLOCKS));
            blocks.resize(count, Block::new());
            self.blocks = blocks;
        }
        &mut self.blocks[..count]
    }
}

/// The PHC string of a new password.
pub(super) fn hash(password: &str, memory: &mut Memory) -> password_hash::Result<String> {
    Ok(Hasher::new(memory).hash_password(password.as_bytes())?.to_string())
}

/// Whether `password` fits `hash`, with the parameters that it was made with. An error when it is no PHC string.
pub(super) fn verify(password: &str, hash: &str, memory: &mut Memory) -> password_hash::Result<bool> {
    let hash = PasswordHash::new(hash)?;
    Ok(Hasher::new(memory).verify_password(password.as_bytes(), &hash).is_ok())
}

struct Hasher<'m> {
    memory: RefCell<&'m mut Memory>,
}

impl<'m> Hasher<'m> {
    fn new(memory: &'m mut Memory) -> Self {
        Self { memory: RefCell::new(memory) }
    }
}

impl PasswordHasher<PasswordHash> for Hasher<'_> {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> password_hash::Result<PasswordHash> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
        self.hash_password_customized(password, salt, None, None, params)
    }
}

impl CustomizedPasswordHasher<PasswordHash> for Hasher<'_> {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map_or(Ok(Algorithm::Argon2id), Algorithm::try_from)?;
        let version = version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let stated = ParamsString::try_from(&params)?;
        let (count, length) =
            (params.block_count(), params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN));
        let mut output = vec![0; length];
        Argon2::new(algorithm, version, params).hash_password_into_with_memory(
            password,
            salt,
            &mut output,
            self.memory.borrow_mut().blocks(count),
        )?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: stated,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(&output)?),
        })
    }
}
