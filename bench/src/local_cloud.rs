//! The controller's use cases inside this process, over a database in a scratch folder: what a service of ours does
//! before it serves anybody, without HTTP.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use updraft_core::identity::bootstrap::bootstrap;
use updraft_core::identity::login::{self, DomainKey, Login, Named, Outcome, PasswordProof, WantedScope};
use updraft_core::identity::token;
use updraft_core::{Config, Core};
use updraft_store::{DatabaseUrl, Store};
use updraft_token::{KeyRepository, Tokens};

use crate::backend::{Core as Processor, pin};
use crate::measure::{Failure, Run, own_cpu_time};
use crate::servers::PASSWORD;

/// Between two looks at the clock and at the other tasks.
const BATCH: usize = 256;

pub struct Cloud {
    core: Core,
    token: String,
    runtime: Runtime,
    _scratch: tempfile::TempDir,
}

impl Cloud {
    /// Makes the cloud, and a token of its administrator.
    ///
    /// # Errors
    /// The scratch folder cannot be used.
    pub fn start() -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let url: DatabaseUrl = folder.join("updraft.sqlite").display().to_string().parse().map_err(failed)?;
        let keys = KeyRepository::open_or_create(&folder.join("keys")).and_then(Tokens::new);
        let keys = keys.map_err(failed)?;
        let (core, token) = runtime.block_on(async {
            let store = Store::open(url).await.map_err(failed)?;
            let core = Core::new(store, keys, Config::new(folder.join("images")));
            bootstrap(&core, Some(PASSWORD.to_owned())).await.map_err(failed)?;
            let outcome = login::login(&core, admin()).await.map_err(failed)?;
            let Outcome::Token(token, _) = outcome else { return Err(Failure::new("no token")) };
            Ok::<_, Failure>((core, token))
        })?;
        let store = core.store.clone();
        runtime.spawn(async move { store.watch_identity().await });
        Ok(Self { core, token, runtime, _scratch: scratch })
    }

    /// Turns the token into a caller over and over.
    ///
    /// # Errors
    /// It is refused, or the caller is somebody else: the run is void.
    pub fn authenticate_for(&self, length: Duration) -> Result<Run, Failure> {
        self.measured(length, async || {
            let caller = token::authenticate(&self.core, &self.token, "req-of-the-bench").await;
            let caller = caller.map_err(failed)?;
            match caller.user_name == "admin" && caller.has_role("admin") {
                true => Ok(()),
                false => Err(Failure::new("the token is somebody else's")),
            }
        })
    }

    /// Decrypts and verifies the token over and over, and asks nothing else.
    ///
    /// # Errors
    /// It is refused: the run is void.
    pub fn decrypt_for(&self, length: Duration) -> Result<Run, Failure> {
        let now_us = self.core.clock.now().0;
        self.measured(length, async || self.core.tokens.verify(&self.token, now_us).map(drop).map_err(failed))
    }

    fn measured(
        &self,
        length: Duration,
        work: impl AsyncFn() -> Result<(), Failure>,
    ) -> Result<Run, Failure> {
        pin(Processor::Backend)?;
        let run = self.runtime.block_on(async {
            // While others were measured nobody looked whether anything changed.
            self.core.store.refresh_identity().await.map_err(failed)?;
            let (start, before) = (Instant::now(), own_cpu_time()?);
            let mut latencies = Vec::new();
            while start.elapsed() < length {
                for _ in 0..BATCH {
                    let began = Instant::now();
                    work().await?;
                    latencies.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
                }
                tokio::task::yield_now().await;
            }
            let cpu = own_cpu_time()?.saturating_sub(before);
            Ok(Run::new(latencies.len() as u64, start.elapsed(), &mut latencies, cpu))
        });
        pin(Processor::Frontend)?;
        run
    }
}

fn admin() -> Login {
    let named =
        |name: &str| Named::Name { name: name.to_owned(), domain: DomainKey::Id("default".to_owned()) };
    Login {
        password: Some(PasswordProof { user: named("admin"), password: PASSWORD.to_owned() }),
        scope: WantedScope::Project(named("admin")),
        ..Login::default()
    }
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::new(error.to_string())
}
