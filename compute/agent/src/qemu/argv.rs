//! The command line of one guest's QEMU. A plain function of its parts, so that a test can read it.
//!
//! No default devices, no user configuration, no image formats to guess (both kinds of disk are vhost-user sockets),
//! memory that the backends can map, and the sandbox on: what a guest may find in its QEMU is bounded by this list.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use updraft_base::{MacAddress, ServerId};

use crate::qemu::probe::Accelerator;

/// Requests in flight for each disk queue.
const BLK_QUEUE_ENTRIES: u16 = 256;
/// Packets in flight for each direction of a network queue. More than QEMU's 256: a guest's burst must fit.
const NET_QUEUE_ENTRIES: u16 = 1024;
/// Empty PCIe ports, for disks and network cards that are plugged in later.
const SPARE_PORTS: usize = 8;
/// The first PCI slot of the root ports; each slot has eight functions.
const FIRST_PORT_SLOT: usize = 2;
const FUNCTIONS_PER_SLOT: usize = 8;
/// TCG's cache of translated code, in MiB. QEMU's own choice is 1 GiB for each guest.
const TCG_CACHE_MIB: u32 = 256;

/// Everything that QEMU is told about one guest.
#[derive(Clone, Debug)]
pub struct MachineSpec {
    pub id: ServerId,
    pub accelerator: Accelerator,
    pub tcg_cpu_model: String,
    pub vcpus: u16,
    pub memory_mib: u32,
    /// In boot order.
    pub disks: Vec<DiskSpec>,
    pub nics: Vec<NicSpec>,
    pub qmp_socket: PathBuf,
    pub vnc_socket: PathBuf,
    pub serial_socket: PathBuf,
    pub console_log: PathBuf,
}

/// A disk, served by blkd, which connects to the socket: a successor that does so is in service at once.
#[derive(Clone, Debug)]
pub struct DiskSpec {
    pub socket: PathBuf,
    pub queues: u16,
}

/// A network card, served by netd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicSpec {
    pub socket: PathBuf,
    pub mac: MacAddress,
    pub queue_pairs: u16,
    pub mtu: u16,
}

/// The arguments, without the program. The guest's processors wait for `cont`.
pub fn arguments(spec: &MachineSpec) -> Vec<OsString> {
    let mut argv = Argv::default();
    machine(&mut argv, spec);
    consoles(&mut argv, spec);
    let devices = spec.disks.len() + spec.nics.len() + 1;
    root_ports(&mut argv, devices + SPARE_PORTS);
    let mut port = 0..;
    let mut next_port = || format!("bus=port{}", port.next().unwrap_or_default());
    for (index, disk) in spec.disks.iter().enumerate() {
        let DiskSpec { queues, .. } = disk;
        argv.add("-chardev", server_socket(&format!("disk{index}"), &disk.socket, ""));
        argv.add(
            "-device",
            format!(
                "vhost-user-blk-pci,id=blk{index},chardev=disk{index},num-queues={queues},\
                 queue-size={BLK_QUEUE_ENTRIES},bootindex={},{}",
                index + 1,
                next_port()
            ),
        );
    }
    for (index, nic) in spec.nics.iter().enumerate() {
        network_card(&mut argv, index, nic, spec.accelerator, &next_port());
    }
    argv.add("-object", "rng-random,id=rng0,filename=/dev/urandom");
    // 64 KiB a second: plenty at boot, and no guest can burn the host's processor on random numbers.
    argv.add("-device", format!("virtio-rng-pci,rng=rng0,max-bytes=65536,period=1000,{}", next_port()));
    argv.0
}

#[derive(Default)]
struct Argv(Vec<OsString>);

impl Argv {
    fn add(&mut self, key: &str, value: impl Into<OsString>) {
        self.0.extend([key.into(), value.into()]);
    }
}

fn machine(argv: &mut Argv, spec: &MachineSpec) {
    let id = spec.id;
    argv.0.extend(["-nodefaults".into(), "-no-user-config".into(), "-S".into()]);
    argv.add("-name", format!("guest={id},debug-threads=on"));
    argv.add("-uuid", id.to_string());
    // cloud-init looks here to know that it runs on OpenStack.
    argv.add(
        "-smbios",
        format!("type=1,manufacturer=Updraft,product=OpenStack Compute,serial={id},uuid={id}"),
    );
    argv.add("-machine", "q35,memory-backend=memory,vmport=off,smm=off,dump-guest-core=off,hpet=off");
    match spec.accelerator {
        Accelerator::Kvm => {
            argv.add("-accel", "kvm");
            argv.add("-cpu", "host");
        }
        Accelerator::Tcg => {
            argv.add("-accel", format!("tcg,thread=multi,tb-size={TCG_CACHE_MIB}"));
            argv.add("-cpu", spec.tcg_cpu_model.as_str());
        }
    }
    argv.add("-smp", format!("cpus={0},sockets=1,cores={0},threads=1", spec.vcpus));
    argv.add("-m", format!("size={}M", spec.memory_mib));
    argv.add("-object", format!("memory-backend-memfd,id=memory,size={}M,share=on,seal=on", spec.memory_mib));
    argv.add("-rtc", "base=utc,driftfix=slew");
    argv.add("-boot", "menu=off,strict=on");
    argv.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    argv.add("-msg", "timestamp=on");
}

fn consoles(argv: &mut Argv, spec: &MachineSpec) {
    argv.add("-chardev", server_socket("qmp", &spec.qmp_socket, ""));
    argv.add("-mon", "chardev=qmp,mode=control");
    let log = format!(",logfile={},logappend=on", spec.console_log.display());
    argv.add("-chardev", server_socket("serial", &spec.serial_socket, &log));
    argv.add("-device", "isa-serial,chardev=serial,index=0");
    argv.add("-display", "none");
    argv.add("-device", "VGA,vgamem_mb=16");
    argv.add("-vnc", format!("unix:{}", spec.vnc_socket.display()));
}

fn root_ports(argv: &mut Argv, count: usize) {
    for index in 0..count {
        let (slot, function) = (FIRST_PORT_SLOT + index / FUNCTIONS_PER_SLOT, index % FUNCTIONS_PER_SLOT);
        // io-reserve=0: virtio 1 needs no I/O ports, and there are too few for so many bridges.
        argv.add(
            "-device",
            format!(
                "pcie-root-port,id=port{index},bus=pcie.0,chassis={},addr={slot:#x}.{function},multifunction=on,\
                 io-reserve=0",
                index + 1
            ),
        );
    }
}

fn network_card(argv: &mut Argv, index: usize, nic: &NicSpec, accelerator: Accelerator, bus: &str) {
    let NicSpec { mac, queue_pairs, mtu, .. } = nic;
    argv.add("-chardev", server_socket(&format!("vhost{index}"), &nic.socket, ""));
    argv.add("-netdev", format!("vhost-user,id=net{index},chardev=vhost{index},queues={queue_pairs}"));
    let many = match accelerator {
        // Debian 12's QEMU dies (a null pointer in virtio-pci) when a guest masks a message-signalled interrupt of a
        // vhost-user card while there is no kernel to route it: without KVM such a card gets a plain interrupt line.
        Accelerator::Tcg if *queue_pairs > 1 => ",mq=on,vectors=0".to_owned(),
        Accelerator::Tcg => ",vectors=0".to_owned(),
        Accelerator::Kvm if *queue_pairs > 1 => format!(",mq=on,vectors={}", 2 * queue_pairs + 2),
        Accelerator::Kvm => String::new(),
    };
    argv.add(
        "-device",
        format!(
            "virtio-net-pci,id=nic{index},netdev=net{index},mac={mac},host_mtu={mtu},romfile=,\
             rx_queue_size={NET_QUEUE_ENTRIES},tx_queue_size={NET_QUEUE_ENTRIES}{many},{bus}"
        ),
    );
}

fn server_socket(id: &str, path: &Path, more: &str) -> String {
    format!("socket,id={id},path={},server=on,wait=off{more}", path.display())
}

#[cfg(test)]
mod tests {
    use super::{DiskSpec, MachineSpec, NicSpec, arguments};
    use crate::qemu::probe::Accelerator;
    use updraft_base::{MacAddress, ServerId};

    fn spec() -> MachineSpec {
        MachineSpec {
            id: ServerId::random(),
            accelerator: Accelerator::Tcg,
            tcg_cpu_model: "Nehalem".into(),
            vcpus: 2,
            memory_mib: 128,
            disks: vec![DiskSpec { socket: "/run/u/root".into(), queues: 2 }],
            nics: vec![
                NicSpec {
                    socket: "/run/u/p0".into(),
                    mac: MacAddress([2, 0, 0, 0, 0, 1]),
                    queue_pairs: 1,
                    mtu: 1450,
                },
                NicSpec {
                    socket: "/run/u/p1".into(),
                    mac: MacAddress([2, 0, 0, 0, 0, 2]),
                    queue_pairs: 4,
                    mtu: 1500,
                },
            ],
            qmp_socket: "/run/u/qmp".into(),
            vnc_socket: "/run/u/vnc".into(),
            serial_socket: "/run/u/tty".into(),
            console_log: "/var/u/console.log".into(),
        }
    }

    #[test]
    fn memory_is_shared_with_the_backends_and_nothing_is_probed() {
        let text =
            arguments(&spec()).iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        assert!(text.contains("memory-backend-memfd,id=memory,size=128M,share=on,seal=on"));
        assert!(text.contains("mac=02:00:00:00:00:02,host_mtu=1500") && text.contains("mq=on,vectors=0"));
        assert!(text.contains("path=/run/u/root,server=on,wait=off"));
        // Every kind of option by which QEMU would open, and perhaps guess the format of, a file.
        for opening in ["-drive", "-hda", "-cdrom", "-blockdev", ",file=", "-kernel", "-net "] {
            assert!(!text.contains(opening), "{opening} in {text}");
        }
    }

    #[test]
    fn every_device_has_a_port_of_its_own() {
        let arguments = arguments(&spec());
        let buses: Vec<String> = arguments
            .iter()
            .filter_map(|a| a.to_str()?.rsplit_once(",bus=port").map(|(_, port)| port.to_owned()))
            .collect();
        assert_eq!(buses, ["0", "1", "2", "3"]);
    }
}
