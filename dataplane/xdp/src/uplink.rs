//! The loaded program with its maps.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{Map, MapData, XskMap};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use updraft_flow::layout::{LAYOUT_VERSION, UPLINK_META_MAGIC, UplinkMeta};

use crate::bpffs;
use crate::error::{Error, Kind};
use crate::link::{attachment, detach, link_path};
use crate::memory::{MAPS, TableMemory};

/// The built program: see `ebpf/build.sh`.
static OBJECT: &[u8] =
    include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../ebpf/updraft-uplink.bpf.o"));
/// Its name in the object.
const PROGRAM: &str = "updraft_uplink";
/// The map of AF_XDP sockets.
const SOCKETS: &str = "SOCKETS";

/// The XDP program in the kernel, its tables mapped here.
pub struct Uplink {
    ebpf: Ebpf,
    sockets: XskMap<MapData>,
    tables: Arc<TableMemory>,
    pin_dir: PathBuf,
}

/// What a test run of the program gave.
#[derive(Clone, Debug)]
pub struct TestRunOutcome {
    /// `XDP_DROP` 1, `XDP_PASS` 2, `XDP_REDIRECT` 4 (linux/bpf.h). Without a socket to redirect to, a drop.
    pub action: u32,
    /// What the program wrote for netd, before the frame.
    pub meta: Option<UplinkMeta>,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// Mean time of one run.
    pub duration: Duration,
}

impl Uplink {
    /// Opens the pinned tables in `pin_dir` (a directory in bpffs of our own, made when missing) or makes them, and
    /// loads the program over them. Nothing is attached yet; what was attached before goes on.
    ///
    /// Tables of another layout are replaced: flows are lost, policy is written anew by the caller.
    pub fn open(pin_dir: &Path) -> Result<Self, Error> {
        bpffs::ensure_directory(pin_dir)?;
        if !pins_fit(pin_dir)? {
            remove_pins(pin_dir)?;
        }
        let mut loader = EbpfLoader::new();
        for (name, ..) in MAPS {
            loader.map_pin_path(name, pin_dir.join(name));
        }
        loader.map_pin_path(SOCKETS, pin_dir.join(SOCKETS));
        let mut ebpf = loader.load(OBJECT).map_err(Error::at(Kind::Load, pin_dir))?;
        program(&mut ebpf)?.load().map_err(Error::of(Kind::Load, PROGRAM))?;
        let sockets = ebpf.take_map(SOCKETS).ok_or_else(|| Error::new(Kind::Load, SOCKETS))?;
        let sockets = XskMap::try_from(sockets).map_err(Error::of(Kind::Load, SOCKETS))?;
        let tables = Arc::new(TableMemory::of_maps(&|name| map_fd(&ebpf, name))?);
        Ok(Self { ebpf, sockets, tables, pin_dir: pin_dir.to_path_buf() })
    }

    /// The tables that the program and this process share.
    pub fn tables(&self) -> &Arc<TableMemory> {
        &self.tables
    }

    /// Attaches the program to `interface` of the given network namespace (or of the caller's), in native mode.
    ///
    /// When an older instance's program is there it is replaced in one step, without a packet in between. A
    /// program on another interface is taken off that first.
    pub fn attach(&mut self, namespace: Option<BorrowedFd<'_>>, interface: &str) -> Result<(), Error> {
        // A link is made in the network namespace of the calling thread.
        std::thread::scope(|scope| {
            let attach = || {
                if let Some(namespace) = namespace {
                    rustix::thread::move_into_link_name_space(
                        namespace,
                        Some(rustix::thread::LinkNameSpaceType::Network),
                    )
                    .map_err(Error::of(Kind::Namespace, interface))?;
                }
                self.attach_here(interface)
            };
            scope.spawn(attach).join().map_err(|_| Error::new(Kind::Attach, interface))?
        })
    }

    fn attach_here(&mut self, interface: &str) -> Result<(), Error> {
        let ifindex = interface_index(interface)?;
        let pin = link_path(&self.pin_dir);
        let program = program(&mut self.ebpf)?;
        if attachment(&self.pin_dir)?.is_some_and(|now| now.ifindex == ifindex) {
            let link = PinnedLink::from_pin(&pin).map_err(Error::at(Kind::Pin, &pin))?;
            let link = XdpLink::try_from(FdLink::from(link)).map_err(Error::of(Kind::Attach, interface))?;
            let id = program.attach_to_link(link).map_err(Error::of(Kind::Attach, interface))?;
            drop(program.take_link(id).map_err(Error::of(Kind::Attach, interface))?); // the pin keeps it
            return Ok(());
        }
        detach(&self.pin_dir)?;
        let id = program
            .attach_to_if_index(ifindex, XdpMode::Driver)
            .map_err(Error::of(Kind::Attach, interface))?;
        let link = FdLink::try_from(program.take_link(id).map_err(Error::of(Kind::Attach, interface))?)
            .map_err(Error::of(Kind::Attach, interface))?;
        link.pin(&pin).map_err(Error::at(Kind::Pin, &pin))?;
        Ok(())
    }

    /// Gives the program the AF_XDP socket bound to receive queue `queue`. It is forgotten when the socket closes.
    pub fn register_socket(&mut self, queue: u32, socket: impl AsRawFd) -> Result<(), Error> {
        self.sockets.set(queue, socket, 0).map_err(Error::of(Kind::Socket, format!("queue {queue}")))
    }

    /// Runs the program on `frame` in the kernel, `repeat` times, without any interface (BPF_PROG_TEST_RUN).
    pub fn test_run(&mut self, frame: &[u8], repeat: u32) -> Result<TestRunOutcome, Error> {
        /// Room for a frame that grew: a page and the kernel's own margin.
        const ROOM: usize = 4096;
        let mut out = vec![0; frame.len().max(ROOM)];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        options.repeat = repeat;
        let result = program(&mut self.ebpf)?
            .test_run(options)
            .map_err(Error::of(Kind::TestRun, format!("{} bytes", frame.len())))?;
        out.truncate(result.data_size_out as usize);
        let meta = read_meta(&out).filter(|_| out.len() == frame.len() + size_of::<UplinkMeta>());
        let frame = out.split_off(if meta.is_some() { size_of::<UplinkMeta>() } else { 0 });
        Ok(TestRunOutcome { action: result.return_value, meta, frame, duration: result.duration })
    }
}

/// The metadata at the start of `bytes`: what precedes a frame in the memory of an AF_XDP socket.
pub fn read_meta(bytes: &[u8]) -> Option<UplinkMeta> {
    let (words, _) = bytes.first_chunk::<{ size_of::<UplinkMeta>() }>()?.as_chunks::<4>();
    let [magic, verdict, port, reserved] = words else { return None };
    let word = |bytes: &[u8; 4]| u32::from_ne_bytes(*bytes);
    let meta =
        UplinkMeta { magic: word(magic), verdict: word(verdict), port: word(port), reserved: word(reserved) };
    (meta.magic == UPLINK_META_MAGIC).then_some(meta)
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, Error> {
    let program = ebpf.program_mut(PROGRAM).ok_or_else(|| Error::new(Kind::Load, PROGRAM))?;
    program.try_into().map_err(Error::of(Kind::Load, PROGRAM))
}

fn map_fd<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>, Error> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data.fd().as_fd()),
        _ => Err(Error::new(Kind::Map, name)),
    }
}

fn interface_index(interface: &str) -> Result<u32, Error> {
    let name = std::ffi::CString::new(interface).map_err(Error::of(Kind::Attach, interface))?;
    // SAFETY: a live string that ends with a zero byte.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Error::of(Kind::Attach, interface)(std::io::Error::last_os_error())),
        index => Ok(index),
    }
}

/// True when every table that is pinned has the shape of this build, or none is pinned.
fn pins_fit(pin_dir: &Path) -> Result<bool, Error> {
    for &(name, value_size, entries) in MAPS {
        let path = pin_dir.join(name);
        if !path.exists() {
            continue;
        }
        let map = MapData::from_pin(&path).map_err(Error::at(Kind::Pin, &path))?;
        let info = map.info().map_err(Error::at(Kind::Pin, &path))?;
        if info.value_size() != value_size || info.max_entries() != entries {
            return Ok(false);
        }
        if name == "CONFIG" && !version_fits(map)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn version_fits(config: MapData) -> Result<bool, Error> {
    /// The configuration entry as plain bytes.
    const SIZE: usize = size_of::<updraft_flow::layout::Config>();
    let map = Map::from_map_data(config).map_err(Error::of(Kind::Pin, "CONFIG"))?;
    let array = aya::maps::Array::<_, [u8; SIZE]>::try_from(map).map_err(Error::of(Kind::Pin, "CONFIG"))?;
    let [a, b, c, d, ..] = array.get(&0, 0).map_err(Error::of(Kind::Pin, "CONFIG"))?;
    let version = u32::from_ne_bytes([a, b, c, d]);
    Ok(version == LAYOUT_VERSION || version == 0)
}

fn remove_pins(pin_dir: &Path) -> Result<(), Error> {
    for name in MAPS.iter().map(|(name, ..)| *name).chain([SOCKETS]) {
        let path = pin_dir.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::at(Kind::Pin, &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes the program off, forgets all flows and tables, and removes the directory.
pub fn remove(pin_dir: &Path) -> Result<(), Error> {
    if !pin_dir.exists() {
        return Ok(());
    }
    detach(pin_dir)?;
    remove_pins(pin_dir)?;
    std::fs::remove_dir(pin_dir).map_err(Error::at(Kind::Pin, pin_dir))
}
