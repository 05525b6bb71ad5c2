//! Network namespaces and the wire between them, by netlink. The host's own network is never touched: both ends of
//! the wire are born inside the cloud's namespaces.

use std::fs::{self, File};
use std::future::Future;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::{Handle, LinkUnspec, LinkVeth};

use crate::cloud::{Cloud, EXTERNAL_INTERFACE, UPLINK_INTERFACE};
use crate::error::Error;

/// Where named namespaces lie (ip-netns(8)), so that `ip netns` sees them too.
const NAMESPACES: &str = "/run/netns";

pub fn path(name: &str) -> PathBuf {
    Path::new(NAMESPACES).join(name)
}

/// Makes the cloud's two namespaces and the wire between them; what exists is left alone.
///
/// # Errors
/// The kernel's, with the name of the namespace.
pub fn ensure_external_network(cloud: &Cloud) -> Result<(), Error> {
    let (external, uplink) = (cloud.external_namespace(), cloud.uplink_namespace());
    ensure_namespace(&external)?;
    ensure_namespace(&uplink)?;
    let uplink_file = File::open(path(&uplink)).map_err(Error::path("open", &path(&uplink)))?;
    let address = IpAddr::V4(cloud.external_gateway());
    let prefix = cloud.external_cidr.prefix_len();
    within(&external, move |netlink| async move {
        ensure_external_end(&netlink, &uplink_file, address, prefix).await
    })?;
    within(&uplink, |netlink| async move { ensure_up(&netlink, UPLINK_INTERFACE).await.map(drop) })?;
    disable_transmit_checksums(&external)
}

/// Removes both namespaces and with them the wire.
///
/// # Errors
/// The kernel's. A namespace that is not there is no error.
pub fn remove_external_network(cloud: &Cloud) -> Result<(), Error> {
    for name in [cloud.external_namespace(), cloud.uplink_namespace()] {
        let file = path(&name);
        if file.exists() {
            let _ = umount2(&file, MntFlags::MNT_DETACH);
            fs::remove_file(&file).map_err(Error::path("remove", &file))?;
        }
    }
    Ok(())
}

/// Moves the calling thread into a namespace.
///
/// # Errors
/// No such namespace, or no right to enter it.
pub fn enter(name: &str) -> Result<(), Error> {
    let file = path(name);
    let file = File::open(&file).map_err(Error::path("open", &file))?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(failed(name, "cannot be entered"))
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    name: &str,
    context: &'static str,
) -> impl FnOnce(E) -> Error {
    let name = name.to_owned();
    move |source| Error::Namespace { name, context, source: source.into() }
}

fn ensure_namespace(name: &str) -> Result<(), Error> {
    let file = path(name);
    if is_namespace(&file) {
        return Ok(());
    }
    fs::create_dir_all(NAMESPACES).map_err(Error::path("make folder", Path::new(NAMESPACES)))?;
    File::create(&file).map_err(Error::path("make", &file))?;
    // A thread of its own: its namespace changes, and the thread ends.
    let owned = name.to_owned();
    let made = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(failed(&owned, "cannot be made"))?;
        let own = Path::new("/proc/thread-self/ns/net");
        mount(Some(own), &path(&owned), None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(failed(&owned, "cannot be named"))
    });
    join(made, name)
}

/// True when the file is a bind mount of a namespace and not the empty file under it.
fn is_namespace(file: &Path) -> bool {
    nix::sys::statfs::statfs(file).is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::NSFS_MAGIC)
}

fn join<T>(thread: std::thread::JoinHandle<Result<T, Error>>, name: &str) -> Result<T, Error> {
    thread.join().map_err(|_| failed::<&str>(name, "its thread ended early")("panic"))?
}

/// Runs netlink work inside a namespace, on a thread of its own.
fn within<F, Fut>(name: &str, work: F) -> Result<(), Error>
where
    F: FnOnce(Handle) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), rtnetlink::Error>>,
{
    let owned = name.to_owned();
    let thread = std::thread::spawn(move || {
        enter(&owned)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed(&owned, "cannot start its event loop"))?;
        runtime.block_on(async {
            let (connection, handle, _) =
                rtnetlink::new_connection().map_err(failed(&owned, "has no netlink"))?;
            let connection = tokio::spawn(connection);
            let result = work(handle).await.map_err(failed(&owned, "refused a change"));
            connection.abort();
            result
        })
    });
    join(thread, name)
}

async fn ensure_external_end(
    netlink: &Handle,
    uplink_namespace: &File,
    address: IpAddr,
    prefix: u8,
) -> Result<(), rtnetlink::Error> {
    ensure_up(netlink, "lo").await?;
    if index_of(netlink, EXTERNAL_INTERFACE).await.is_none() {
        netlink.link().add(LinkVeth::new(EXTERNAL_INTERFACE, UPLINK_INTERFACE).build()).execute().await?;
        if let Some(peer) = index_of(netlink, UPLINK_INTERFACE).await {
            let moved = LinkUnspec::new_with_index(peer).setns_by_fd(uplink_namespace.as_raw_fd()).build();
            netlink.link().set(moved).execute().await?;
        }
    }
    let index = ensure_up(netlink, EXTERNAL_INTERFACE).await?;
    match netlink.address().add(index, address, prefix).execute().await {
        Err(rtnetlink::Error::NetlinkError(message)) if message.raw_code() == -(nix::libc::EEXIST) => Ok(()),
        other => other,
    }
}

async fn index_of(netlink: &Handle, interface: &str) -> Option<u32> {
    use futures_util::TryStreamExt;
    let mut links = netlink.link().get().match_name(interface.to_owned()).execute();
    links.try_next().await.ok().flatten().map(|link| link.header.index)
}

async fn ensure_up(netlink: &Handle, interface: &str) -> Result<u32, rtnetlink::Error> {
    let index = index_of(netlink, interface).await.ok_or(rtnetlink::Error::RequestFailed)?;
    netlink.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await?;
    Ok(index)
}

/// The outside world must send complete checksums: a program on the driver sees frames before a veth pair would
/// fill them in.
fn disable_transmit_checksums(namespace: &str) -> Result<(), Error> {
    let owned = namespace.to_owned();
    let thread = std::thread::spawn(move || {
        enter(&owned)?;
        let output = std::process::Command::new("ethtool")
            .args(["-K", EXTERNAL_INTERFACE, "tx", "off"])
            .output()
            .map_err(Error::io("cannot run ethtool (run `make setup`)"))?;
        if output.status.success() {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(failed::<String>(&owned, "ethtool refused to switch off transmit checksums")(answer))
    });
    join(thread, namespace)
}
