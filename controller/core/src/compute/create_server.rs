//! `POST /servers`: look-ups, quota, and one transaction that writes servers, their ports and their tasks. Everything
//! that takes time is in the tasks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ssh_key::rand_core::{OsRng, RngCore as _};
use updraft_compute_api::plan::ImageFormat;
use updraft_model::Timestamp;
use updraft_model::compute::quota::Resource;
use updraft_model::compute::server::{PowerIntent, RootDiskSpec, ServerSpec};
use updraft_model::compute::{Flavor, PowerState, Program, Server, TaskState, VmState};
use updraft_model::id::new_uuid;
use updraft_model::image::{ContainerFormat, DiskFormat, Image, ImageStatus};
use updraft_model::network::DEFAULT_GROUP_NAME;
use updraft_store::compute::{host, keypair, quota, server, task};
use updraft_store::{Conn, Tx};
use updraft_wire::compute::server_create::{CreateServer, Networks, RequestedNetwork};

use super::{access, flavor, new_server};
use crate::network::server_port::{self, Card, NewPort};
use crate::tasks::{NewTask, new_task};
use crate::{Caller, Core, Error, ErrorKind, Result, Topic, notify};

const CREATE: &str = "os_compute_api:servers:create";
const GIB: u64 = 1 << 30;
/// Random bytes of a password that the tenant did not choose.
const PASSWORD_BYTES: usize = 12;

/// What the answer needs.
#[derive(Clone, Debug)]
pub struct CreatedServers {
    /// The first of them; a reservation names all.
    pub id: String,
    pub reservation_id: String,
    pub admin_password: String,
    pub disk_config: updraft_model::compute::server::DiskConfig,
    /// As the request named them.
    pub security_groups: Vec<String>,
}

/// A request whose image was looked up and whose form was checked.
#[derive(Clone)]
struct Wanted {
    request: CreateServer,
    image: Image,
    count: new_server::Count,
    placement: new_server::Placement,
    admin_password: String,
    reservation_id: String,
}

/// Takes the intent to have new servers, in BUILD.
pub async fn create(core: &Core, caller: &Caller, request: CreateServer) -> Result<CreatedServers> {
    access::enforce(caller, CREATE)?;
    new_server::check(&request)?;
    if matches!(request.networks, Networks::These(_)) {
        access::enforce(caller, "os_compute_api:servers:create:attach_network")?;
    }
    let image = image(core, caller, new_server::image_id(&request)?).await?;
    let hints = new_server::unknown_hints(&request.hints);
    if !hints.is_empty() {
        tracing::info!(?hints, "scheduler hints without effect");
    }
    let wanted = Wanted {
        count: new_server::count(&request.server)?,
        placement: new_server::placement(&request.server, caller)?,
        admin_password: request.server.admin_password.clone().unwrap_or_else(random_password),
        reservation_id: format!("r-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]),
        image,
        request,
    };
    let (caller, now) = (caller.clone(), core.clock.now());
    let created =
        core.write(move |tx| Box::pin(async move { write(tx, &caller, wanted, now).await })).await?;
    core.nudge.send(Topic::Tasks);
    Ok(created)
}

async fn image(core: &Core, caller: &Caller, id: &str) -> Result<Image> {
    let image = crate::image::get(core, caller, id).await.map_err(|error| match error.kind {
        ErrorKind::NotFound => Error::bad_request("ImageNotFound", "Can not find requested image"),
        _ => error,
    })?;
    if image.status != ImageStatus::Active {
        return Err(Error::bad_request("ImageNotActive", format!("Image {id} is not active.")));
    }
    Ok(image)
}

fn random_password() -> String {
    let mut bytes = [0; PASSWORD_BYTES];
    OsRng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn write(tx: &mut Tx, caller: &Caller, wanted: Wanted, now: Timestamp) -> Result<CreatedServers> {
    let project_id = access::own_project(caller, CREATE)?.to_owned();
    // A reference may be a link that ends in the id.
    let flavor_ref = wanted.request.server.flavor_ref.rsplit('/').next().unwrap_or_default();
    let flavor = flavor::usable(tx, caller, flavor_ref).await?.filter(|flavor| !flavor.disabled);
    let flavor = flavor.ok_or_else(|| {
        Error::bad_request("FlavorNotFound", format!("Flavor {flavor_ref} could not be found."))
    })?;
    check_fit(&flavor, &wanted.image)?;
    if flavor.disk_gib == 0 && !access::may(caller, "os_compute_api:servers:create:zero_disk_flavor") {
        let message = "Only volume-backed servers are allowed for flavors with zero disk.";
        return Err(Error::forbidden(message));
    }
    check_host(tx, wanted.placement.host.as_deref()).await?;
    let number = allowed_number(tx, &project_id, &flavor, &wanted).await?;
    let public_key = public_key(tx, caller, wanted.request.server.key_name.as_deref()).await?;
    let groups = groups(tx, &project_id, &wanted.request.security_groups, now).await?;
    let networks = networks(tx, &project_id, &wanted.request.networks).await?;
    if number > 1 && networks.iter().any(|network| network.port_id.is_some() || network.fixed_ip.is_some()) {
        return Err(Error::bad_request(
            "BadRequest",
            "Unable to launch multiple instances with one port or fixed IP.",
        ));
    }
    let mut first_id = None;
    for index in 0..number {
        let server = server_row(caller, &wanted, &flavor, public_key.clone(), (index, number), now)?;
        server::insert(tx, &server).await?;
        plug(tx, caller, &server, &networks, &groups, now).await?;
        let task = new_task(NewTask { server: &server, program: Program::Create, caller, now });
        task::insert(tx, &task).await?;
        tx.notice(|| notify::compute::started(&server, &task));
        first_id.get_or_insert(server.id);
    }
    Ok(CreatedServers {
        id: first_id.ok_or_else(|| Error::internal("at least one server is made"))?,
        reservation_id: wanted.reservation_id,
        admin_password: wanted.admin_password,
        disk_config: new_server::disk_config(wanted.request.server.disk_config.as_deref())?,
        security_groups: wanted.request.security_groups,
    })
}

/// Refuses a flavor that is too small for the image, before anything is stored.
fn check_fit(flavor: &Flavor, image: &Image) -> Result<()> {
    let refuse = |message: String| Err(Error::bad_request("FlavorTooSmall", message));
    if flavor.memory_mib < image.min_ram_mib {
        return refuse("Flavor's memory is too small for requested image.".into());
    }
    let Some(data) = &image.data else {
        return Err(Error::bad_request("ImageNotActive", format!("Image {} has no data.", image.id)));
    };
    if flavor.disk_gib == 0 {
        return Ok(());
    }
    let disk_bytes = u64::from(flavor.disk_gib) * GIB;
    if let Some(image_bytes) = data.virtual_size_bytes
        && image_bytes > disk_bytes
    {
        return refuse(format!(
            "Flavor's disk is too small for requested image. Flavor disk is {disk_bytes} bytes, image is {image_bytes} bytes."
        ));
    }
    if flavor.disk_gib < image.min_disk_gib {
        return refuse(format!(
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is {disk_bytes} \
             bytes, minimum size is {} bytes.",
            u64::from(image.min_disk_gib) * GIB
        ));
    }
    Ok(())
}

/// A host that an administrator named must be there.
async fn check_host(conn: &mut Conn, name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    if host::list(conn).await?.iter().any(|host| host.hostname == name) {
        return Ok(());
    }
    Err(Error::bad_request("ComputeHostNotFound", format!("Compute host {name} could not be found.")))
}

/// As many servers as the quota allows, between the least and the most that were asked for.
async fn allowed_number(conn: &mut Conn, project_id: &str, flavor: &Flavor, wanted: &Wanted) -> Result<u32> {
    let limits = quota::limits(conn, project_id).await?;
    let usage = quota::usage(conn, project_id).await?;
    super::server::check_metadata(&wanted.request.server.metadata, limits.limit(Resource::MetadataItems))?;
    let need = |number: u32| {
        let number = i64::from(number);
        [
            (Resource::Instances, number),
            (Resource::Cores, number * i64::from(flavor.vcpus)),
            (Resource::Ram, number * i64::from(flavor.memory_mib)),
        ]
    };
    let mut number = wanted.count.max;
    while number > wanted.count.min && super::quota::require(&limits, &usage, &need(number)).is_err() {
        number -= 1;
    }
    super::quota::require(&limits, &usage, &need(number))?;
    Ok(number)
}

async fn public_key(conn: &mut Conn, caller: &Caller, name: Option<&str>) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    match keypair::get(conn, &caller.user_id, name).await? {
        Some(keypair) => Ok(Some(keypair.public_key)),
        None => Err(Error::bad_request("KeypairNotFound", "Invalid key_name provided.")),
    }
}

/// Ids of the named groups; `None` when none was named: the network service then takes the default group.
async fn groups(
    tx: &mut Tx,
    project_id: &str,
    named: &[String],
    now: Timestamp,
) -> Result<Option<Vec<String>>> {
    if named.is_empty() {
        return Ok(None);
    }
    if named.iter().any(|name| name == DEFAULT_GROUP_NAME) {
        // It is there from its first use on, which may be this one.
        server_port::default_group(tx, project_id, now).await?;
    }
    let mut ids = server_port::resolve_groups(tx, project_id, named).await.map_err(as_request_error)?;
    ids.sort();
    ids.dedup();
    Ok(Some(ids))
}

/// What is looked up on behalf of a request is not the request's own resource: not found means a bad request.
fn as_request_error(error: Error) -> Error {
    match error.kind {
        ErrorKind::NotFound => Error { kind: ErrorKind::BadRequest, ..error },
        // In Nova's words: the project's ports are all taken.
        ErrorKind::OverQuota => {
            Error::new(ErrorKind::OverQuota, "PortLimitExceeded", "Maximum number of ports exceeded")
        }
        _ => error,
    }
}

/// The networks and ports to plug into, in order.
async fn networks(conn: &mut Conn, project_id: &str, networks: &Networks) -> Result<Vec<RequestedNetwork>> {
    let requested = match networks {
        Networks::None => return Ok(Vec::new()),
        Networks::These(list) => list.clone(),
        Networks::Unsaid | Networks::Auto => {
            let candidates = server_port::candidates(conn, project_id).await?;
            match candidates.as_slice() {
                [only] => vec![RequestedNetwork {
                    network_id: Some(only.id.clone()),
                    port_id: None,
                    fixed_ip: None,
                    tag: None,
                }],
                [] if *networks == Networks::Unsaid => return Ok(Vec::new()),
                [] => {
                    let message =
                        format!("Unable to automatically allocate a network for project {project_id}");
                    return Err(Error::bad_request("UnableToAutoAllocateNetwork", message));
                }
                _ => {
                    let message = "Multiple possible networks found, use a Network ID to be more specific.";
                    return Err(Error::conflict("NetworkAmbiguous", message));
                }
            }
        }
    };
    match requested.iter().find(|network| network.network_id.is_none() && network.port_id.is_none()) {
        Some(_) => Err(Error::bad_request("BadRequest", "Bad network format: missing 'uuid'")),
        None => Ok(requested),
    }
}

async fn plug(
    tx: &mut Tx,
    caller: &Caller,
    server: &Server,
    networks: &[RequestedNetwork],
    groups: &Option<Vec<String>>,
    now: Timestamp,
) -> Result<()> {
    for (position, network) in (0..).zip(networks) {
        let card = Card { server_id: &server.id, position, host_name: &server.spec.hostname };
        let plugged = match (&network.port_id, &network.network_id) {
            (Some(port_id), _) => server_port::claim(tx, caller, &card, port_id, now).await,
            (None, network_id) => {
                let new = NewPort {
                    network_id: network_id.clone().unwrap_or_default(),
                    fixed_address: network.fixed_ip.clone(),
                    security_groups: groups.clone(),
                };
                server_port::create(tx, caller, &card, new, now).await
            }
        };
        plugged.map_err(as_request_error)?;
    }
    Ok(())
}

/// The row of the `index`th of `number` servers; several are told apart by their names.
fn server_row(
    caller: &Caller,
    wanted: &Wanted,
    flavor: &Flavor,
    public_key: Option<String>,
    (index, number): (u32, u32),
    now: Timestamp,
) -> Result<Server> {
    let request = &wanted.request.server;
    let id = new_uuid();
    let base = new_server::checked_name(&request.name)?;
    let name = if number > 1 { format!("{base}-{}", index + 1) } else { base };
    let hostname = match &request.hostname {
        Some(hostname) => new_server::checked_hostname(hostname)?,
        None => super::server::default_hostname(&name, &id),
    };
    let mut tags = request.tags.clone();
    super::server::check_tags(&mut tags)?;
    let spec = ServerSpec {
        description: request.description.clone(),
        hostname,
        flavor: flavor.snapshot(),
        root_disk: root_disk(flavor, &wanted.image)?,
        key_name: request.key_name.clone(),
        public_key,
        user_data: request.user_data.clone(),
        config_drive: request.config_drive.unwrap_or(false),
        admin_password: Some(wanted.admin_password.clone()),
        access_ip_v4: new_server::access_ip(request.access_ip_v4.as_deref(), 4)?,
        access_ip_v6: new_server::access_ip(request.access_ip_v6.as_deref(), 6)?,
        availability_zone: wanted.placement.availability_zone.clone(),
        requested_host: wanted.placement.host.clone(),
        disk_config: new_server::disk_config(request.disk_config.as_deref())?,
        metadata: request.metadata.clone(),
        tags,
        reservation_id: wanted.reservation_id.clone(),
        launch_index: index,
    };
    Ok(Server {
        id,
        project_id: caller.project_id.clone().unwrap_or_default(),
        user_id: caller.user_id.clone(),
        name,
        spec,
        vm_state: VmState::Building,
        task_state: Some(TaskState::Scheduling),
        power_state: PowerState::NoState,
        fault: None,
        locked: None,
        host_id: None,
        planned: false,
        power: PowerIntent::default(),
        created_at: now,
        updated_at: now,
        launched_at: None,
        deleted_at: None,
        revision: 0,
    })
}

fn root_disk(flavor: &Flavor, image: &Image) -> Result<RootDiskSpec> {
    let data = image.data.as_ref().ok_or_else(|| Error::internal("an active image has data"))?;
    let is_bare = image.container_format.is_none_or(ContainerFormat::is_bare);
    let Some(virtual_size_bytes) = data.virtual_size_bytes.filter(|_| is_bare) else {
        let container = image.container_format.map_or("none", ContainerFormat::as_str);
        let message = format!("Servers do not boot from images with the container format {container}.");
        return Err(Error::bad_request("InvalidImageFormat", message));
    };
    let image_format = match image.disk_format {
        Some(DiskFormat::Raw | DiskFormat::Gpt) => ImageFormat::Raw,
        Some(DiskFormat::Qcow2) => ImageFormat::Qcow2,
        Some(DiskFormat::Iso) => ImageFormat::Iso,
        Some(DiskFormat::Vmdk) => ImageFormat::Vmdk,
        Some(DiskFormat::Vhd) => ImageFormat::Vhd,
        Some(DiskFormat::Vhdx) => ImageFormat::Vhdx,
        Some(DiskFormat::Vdi) => ImageFormat::Vdi,
        Some(other @ (DiskFormat::Ami | DiskFormat::Ari | DiskFormat::Aki)) => {
            let message = format!("Servers do not boot from images of the format {}.", other.as_str());
            return Err(Error::bad_request("InvalidImageFormat", message));
        }
        None => return Err(Error::bad_request("InvalidImageRef", "The image has no disk format.")),
    };
    Ok(RootDiskSpec {
        disk_id: new_uuid(),
        image_id: image.id.clone(),
        image_format: image_format.as_str().into(),
        image_bytes: data.size_bytes,
        image_sha512: data.sha512.clone(),
        // An image need not be a whole number of sectors; a disk is.
        size_bytes: match flavor.disk_gib {
            0 => virtual_size_bytes.next_multiple_of(1 << 20),
            gib => u64::from(gib) * GIB,
        },
    })
}
