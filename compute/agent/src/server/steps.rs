//! The deeds that [`decide`](crate::server::decide) asks for. Each can be repeated, and leaves nothing half-made.

use std::io;
use std::time::{Duration, Instant};

use updraft_base::size::MIB;

use crate::blkd;
use crate::config_drive;
use crate::host::jail::RunDetached;
use crate::host::process::Process;
use crate::layout::{create_private_dir, remove};
use crate::metadata::service::random_seed;
use crate::qemu::argv::{DiskSpec, MachineSpec, NicSpec, arguments};
use crate::qemu::machine::{FILE_SIZE_LIMIT_BYTES, Machine};
use crate::record::{Epochs, ServerRecord};
use crate::server::decide::Action;
use crate::server::failure::StepError;
use crate::server::task::{Next, Planned, ServerTask};
use crate::volumes;

/// How long netd may take to serve a server's ports before that is a failure to tell of.
const PORTS_TIMEOUT: Duration = Duration::from_secs(15);
/// A blkd that ends right after its start is not started again before this.
const BLKD_RESTART_PERIOD: Duration = Duration::from_secs(1);

impl ServerTask {
    pub(super) async fn act(&mut self, action: Action, planned: &Planned) -> Result<Next, StepError> {
        match action {
            Action::MakeDisk => self.make_disk(planned).await?,
            Action::MakeConfigDrive => self.make_config_drive(planned).await?,
            Action::StartBlkd => self.start_blkd(planned).await?,
            Action::AwaitPorts => self.await_ports(planned).await?,
            Action::StartGuest => self.start_guest(planned).await?,
            Action::RecordAndRelease => {
                self.record_done(|done, guest| done.max(guest))?;
                self.command("cont").await?;
            }
            Action::Release => self.command("cont").await?,
            Action::PressPowerButton => {
                let now = Instant::now();
                self.pressed = Some((self.pressed.map_or(now, |(first, _)| first), now));
                self.command("system_powerdown").await?;
            }
            Action::ResetForSoftReboot => {
                let soft_reboot = planned.server.power.soft_reboot_epoch;
                self.command("system_reset").await?;
                self.record_done(|done, _| Epochs { soft_reboot, ..done })?;
                self.pressed = None;
            }
            Action::ForceOff => {
                if let Some(machine) = &mut self.machine {
                    machine.force_off().await?;
                }
            }
            Action::StopBlkd => {
                if let Some(process) = &mut self.blkd {
                    blkd::stop(process).await?;
                }
            }
            Action::AwaitShutdown(limit) => return Ok(Next::Wait(limit)),
            Action::Rest(_) => {
                self.pressed = None;
                return Ok(Next::rest());
            }
        }
        Ok(Next::Again)
    }

    /// Makes the server's folder and record. From then on its image is not removed.
    pub(super) fn ensure_record(&mut self, planned: &Planned) -> Result<(), StepError> {
        if self.record.is_some() {
            return Ok(());
        }
        let (layout, record) = (&self.host.layout, ServerRecord::new(&planned.server));
        let store = create_private_dir(&layout.server_dir(self.id))
            .and_then(|()| record.store(&layout.record(self.id)));
        store.map_err(|source| StepError::Host { what: "the server's record", source })?;
        self.record = Some(record);
        Ok(())
    }

    fn record_done(&mut self, next: impl Fn(Epochs, Epochs) -> Epochs) -> Result<(), StepError> {
        let guest = self.machine.as_ref().map(Machine::epochs).unwrap_or_default();
        let Some(record) = &mut self.record else { return Ok(()) };
        let done = next(record.done, guest);
        let newer = ServerRecord { done, ..record.clone() };
        newer
            .store(&self.host.layout.record(self.id))
            .map_err(|source| StepError::Host { what: "the server's record", source })?;
        *record = newer;
        Ok(())
    }

    async fn command(&mut self, name: &str) -> Result<(), StepError> {
        match &mut self.machine {
            Some(machine) => Ok(machine.command(name).await.map(drop)?),
            None => Ok(()),
        }
    }

    async fn make_disk(&mut self, planned: &Planned) -> Result<(), StepError> {
        let root = &planned.server.root_disk;
        let base = tokio::select! {
            base = self.host.images.ensure(&root.image) => base?,
            () = Self::target_changed(&mut self.target) => return Ok(()),
        };
        let (disk, size_bytes) = (self.host.layout.root_disk(self.id, root.id), root.size_bytes);
        tokio::task::spawn_blocking(move || volumes::clone(&base, &disk, size_bytes)).await??;
        Ok(())
    }

    async fn make_config_drive(&mut self, planned: &Planned) -> Result<(), StepError> {
        let (path, id, metadata) =
            (self.host.layout.config_drive(self.id), self.id, planned.server.metadata.clone());
        tokio::task::spawn_blocking(move || config_drive::create(&path, id, &metadata, &random_seed()))
            .await?
            .map_err(StepError::ConfigDrive)
    }

    async fn start_blkd(&mut self, planned: &Planned) -> Result<(), StepError> {
        if let Some(rest) = self.blkd_started.and_then(|at| BLKD_RESTART_PERIOD.checked_sub(at.elapsed())) {
            tokio::time::sleep(rest).await;
        }
        self.blkd_started = Some(Instant::now());
        let (host, id) = (&self.host, self.id);
        self.make_run_dir()?;
        let cgroup = host.cgroups.ensure(id, "blkd").map_err(cgroup_error)?;
        let (jail, binary) = (&host.jail_binary, &host.config.blkd_binary);
        self.blkd = Some(blkd::start(jail, binary, &planned.server, &host.layout, cgroup).await?);
        Ok(())
    }

    async fn await_ports(&mut self, planned: &Planned) -> Result<(), StepError> {
        planned.nics.as_ref().map_err(|port| StepError::PortNotPlanned(*port))?;
        let mut net = self.host.net.clone();
        let ports = &planned.server.port_ids;
        let served = net.wait_for(|net| ports.iter().all(|port| net.applied_ports.contains(port)));
        tokio::select! {
            served = tokio::time::timeout(PORTS_TIMEOUT, served) => {
                if served.is_ok() {
                    return Ok(());
                }
            }
            () = Self::target_changed(&mut self.target) => return Ok(()),
        }
        let problem = self.host.net.borrow().problem.clone();
        Err(StepError::NoPorts(problem.unwrap_or_else(|| "it has not taken the newest plan".into())))
    }

    async fn start_guest(&mut self, planned: &Planned) -> Result<(), StepError> {
        let (host, id, plan) = (&self.host, self.id, &planned.server);
        self.make_run_dir()?;
        let spec = self.machine_spec(planned)?;
        let done = self.record.as_ref().map(|record| record.done).unwrap_or_default();
        let epochs = Epochs::of(plan).max(done);
        let mut command = vec![host.config.qemu_binary.clone().into()];
        command.extend(arguments(&spec));
        let options = RunDetached {
            record: host.layout.qemu_process(id),
            start_epoch: epochs.start,
            soft_reboot_epoch: epochs.soft_reboot,
            cgroup: host.cgroups.ensure(id, "qemu").map_err(cgroup_error)?,
            // The guest's memory is a file too until it is made.
            file_size_limit_bytes: Some(u64::from(plan.memory_mib) * MIB + FILE_SIZE_LIMIT_BYTES),
            command,
        };
        let (log, qmp) = (host.layout.qemu_log(id), host.layout.qmp_socket(id));
        self.machine = Some(Machine::start(&host.jail_binary, options, &log, &qmp).await?);
        Ok(())
    }

    fn machine_spec(&self, planned: &Planned) -> Result<MachineSpec, StepError> {
        let (host, id, plan) = (&self.host, self.id, &planned.server);
        let layout = &host.layout;
        let accelerator =
            host.probed.accelerator.ok_or_else(|| StepError::NoAccelerator(host.probed.reason.clone()))?;
        let mut disks =
            vec![DiskSpec { socket: layout.root_disk_socket(id), queues: blkd::root_queues(plan) }];
        if plan.config_drive {
            disks.push(DiskSpec { socket: layout.config_drive_socket(id), queues: 1 });
        }
        let nics = planned.nics.as_ref().map_err(|port| StepError::PortNotPlanned(*port))?;
        let nics = nics
            .iter()
            .zip(&plan.port_ids)
            .map(|(nic, port)| NicSpec { socket: layout.port_socket(*port), ..nic.clone() })
            .collect();
        Ok(MachineSpec {
            id,
            accelerator,
            tcg_cpu_model: host.config.tcg_cpu_model.clone(),
            vcpus: plan.vcpus,
            memory_mib: plan.memory_mib,
            disks,
            nics,
            qmp_socket: layout.qmp_socket(id),
            vnc_socket: layout.vnc_socket(id),
            serial_socket: layout.serial_socket(id),
            console_log: layout.console_log(id),
        })
    }

    /// Ends and removes everything of the server; what the kernel holds first, the record's folder last.
    pub(super) async fn remove(&mut self) -> Result<Next, StepError> {
        let (layout, id) = (self.host.layout.clone(), self.id);
        if let Some(machine) = &mut self.machine {
            machine.force_off().await?;
        }
        self.machine = None;
        if let Some(process) = &mut self.blkd {
            blkd::stop(process).await?;
        }
        self.blkd = None;
        // What a step that was cut off has left.
        for record in [layout.qemu_process(id), layout.blkd_process(id)] {
            if let Some(mut process) = Process::find(&record)? {
                process.stop(Duration::ZERO).await?;
            }
        }
        self.host.cgroups.remove(id).await.map_err(cgroup_error)?;
        let disk = self.record.as_ref().map(|record| layout.root_disk(id, record.disk_id));
        tokio::task::spawn_blocking(move || -> Result<(), StepError> {
            if let Some(disk) = disk.filter(|disk| disk.exists()) {
                volumes::delete(&disk)?;
            }
            remove(&layout.server_run_dir(id))
                .and_then(|()| remove(&layout.server_dir(id)))
                .map_err(|source| StepError::Host { what: "the server's folders", source })
        })
        .await??;
        self.record = None;
        tracing::info!(server = %id, "server removed");
        Ok(Next::End)
    }

    fn make_run_dir(&self) -> Result<(), StepError> {
        create_private_dir(&self.host.layout.server_run_dir(self.id))
            .map_err(|source| StepError::Host { what: "the server's sockets", source })
    }
}

fn cgroup_error(source: io::Error) -> StepError {
    StepError::Host { what: "the server's cgroup", source }
}
