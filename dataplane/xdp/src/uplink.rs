//! The loaded program with its maps.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{Map, MapData, XskMap};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{TestRun, TestRunOptions, Xdp};
use aya::{EbpfLoader, include_bytes_aligned};
use aya_obj::programs::XdpAttachType;
use updraft_flow::layout::{LAYOUT_VERSION, UPLINK_META_MAGIC, UplinkMeta};

use crate::bpffs;
use crate::error::{Error, Kind};
use crate::link::{attachment, detach, link_path};
use crate::memory::{MAPS, TableMemory};

/// The built program: see `ebpf/build.sh`.
static OBJECT: &[u8] = include_bytes_aligned!("../../../ebpf/updraft-uplink.bpf.o");
/// The hash of its sources and, in a second word, of the object.
static STAMP: &str = include_str!("../../../ebpf/updraft-uplink.sources.sha256");
/// Its name in the object.
const PROGRAM: &str = "updraft_uplink";
/// The map of AF_XDP sockets.
const SOCKETS: &str = "SOCKETS";
/// What the name of a program's pin begins with; the hash of its object follows.
const PROGRAM_PIN: &str = "program-";

/// The XDP program in the kernel, its tables mapped here.
pub struct Uplink {
    program: Xdp,
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
    /// Opens what is pinned in `pin_dir` (a directory in bpffs of our own, made when missing): the tables, and this
    /// build's program over them. What is missing is made and pinned, so the kernel's verifier looks at a build once.
    /// Nothing is attached yet; what was attached before goes on.
    ///
    /// Tables of another layout are replaced: flows are lost, policy is written anew by the caller.
    pub fn open(pin_dir: &Path) -> Result<Self, Error> {
        bpffs::ensure_directory(pin_dir)?;
        let pin = program_path(pin_dir);
        if !pins_fit(pin_dir)? {
            remove_pins(pin_dir)?;
        }
        if !pin.exists() {
            remove_programs(pin_dir)?;
            load(pin_dir, &pin)?;
        }
        let program = Xdp::from_pin(&pin, XdpAttachType::Interface).map_err(Error::at(Kind::Pin, &pin))?;
        let sockets =
            Map::from_map_data(open_map(pin_dir, SOCKETS)?).map_err(Error::of(Kind::Pin, SOCKETS))?;
        let sockets = XskMap::try_from(sockets).map_err(Error::of(Kind::Pin, SOCKETS))?;
        let maps = MAPS.iter().map(|(name, ..)| Ok((*name, open_map(pin_dir, name)?)));
        let maps = maps.collect::<Result<HashMap<_, _>, Error>>()?;
        let find =
            |name| maps.get(name).map(|map| map.fd().as_fd()).ok_or_else(|| Error::new(Kind::Map, name));
        let tables = Arc::new(TableMemory::of_maps(&find)?);
        Ok(Self { program, sockets, tables, pin_dir: pin_dir.to_path_buf() })
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
        let program = &mut self.program;
        let id = program.info().map_err(Error::of(Kind::Attach, interface))?.id();
        let now = attachment(&self.pin_dir)?.filter(|now| now.ifindex == ifindex);
        if now.is_some_and(|now| now.program_id == id) {
            return Ok(());
        }
        if now.is_some() {
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
        let result = self
            .program
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

/// Loads the program over the pinned maps, making those that are missing, and pins it.
fn load(pin_dir: &Path, pin: &Path) -> Result<(), Error> {
    let mut loader = EbpfLoader::new();
    for name in map_names() {
        loader.map_pin_path(name, pin_dir.join(name));
    }
    let mut ebpf = loader.load(OBJECT).map_err(Error::at(Kind::Load, pin_dir))?;
    let program = ebpf.program_mut(PROGRAM).ok_or_else(|| Error::new(Kind::Load, PROGRAM))?;
    let program: &mut Xdp = program.try_into().map_err(Error::of(Kind::Load, PROGRAM))?;
    program.load().map_err(Error::of(Kind::Load, PROGRAM))?;
    program.pin(pin).map_err(Error::at(Kind::Pin, pin))
}

/// Where this build's program is pinned.
fn program_path(pin_dir: &Path) -> PathBuf {
    let object = STAMP.split_whitespace().nth(1).unwrap_or_default();
    pin_dir.join(format!("{PROGRAM_PIN}{object}"))
}

fn map_names() -> impl Iterator<Item = &'static str> {
    MAPS.iter().map(|(name, ..)| *name).chain([SOCKETS])
}

fn open_map(pin_dir: &Path, name: &str) -> Result<MapData, Error> {
    let path = pin_dir.join(name);
    MapData::from_pin(&path).map_err(Error::at(Kind::Pin, &path))
}

fn interface_index(interface: &str) -> Result<u32, Error> {
    let name = std::ffi::CString::new(interface).map_err(Error::of(Kind::Attach, interface))?;
    // SAFETY: a live string that ends with a zero byte.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Error::of(Kind::Attach, interface)(std::io::Error::last_os_error())),
        index => Ok(index),
    }
}

/// True when every table that is pinned has the shape of this build, or none is pinned. A program is only as good as
/// the pins of all its maps.
fn pins_fit(pin_dir: &Path) -> Result<bool, Error> {
    if program_path(pin_dir).exists() && !map_names().all(|name| pin_dir.join(name).exists()) {
        return Ok(false);
    }
    for &(name, value_size, entries) in MAPS {
        if !pin_dir.join(name).exists() {
            continue;
        }
        let map = open_map(pin_dir, name)?;
        let info = map.info().map_err(Error::of(Kind::Pin, name))?;
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

/// The programs go first: none may be left without its maps.
fn remove_pins(pin_dir: &Path) -> Result<(), Error> {
    remove_programs(pin_dir)?;
    map_names().try_for_each(|name| remove_pin(&pin_dir.join(name)))
}

/// Those of other builds, too. What is attached stays so.
fn remove_programs(pin_dir: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(pin_dir).map_err(Error::at(Kind::Pin, pin_dir))? {
        let entry = entry.map_err(Error::at(Kind::Pin, pin_dir))?;
        if entry.file_name().to_string_lossy().starts_with(PROGRAM_PIN) {
            remove_pin(&entry.path())?;
        }
    }
    Ok(())
}

fn remove_pin(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::at(Kind::Pin, path)(error)),
        _ => Ok(()),
    }
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
