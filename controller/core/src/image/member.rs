//! Projects that a shared image is offered to. The owner offers; the member takes it or not.

use updraft_model::image::{Image, MAX_MEMBERS, MAX_NAME_CHARS, Member, MemberStatus, Visibility};
use updraft_store::image::member;
use updraft_store::{Conn, StoreErrorKind};

use super::access::{Found, find};
use crate::policy::Target;
use crate::{Caller, Core, Error, ErrorKind, Result, notify};

/// Offers an image to a project. 409 when it is offered already, 403 unless the image is shared.
pub async fn create(core: &Core, caller: &Caller, image_id: &str, member_id: String) -> Result<Member> {
    if member_id.is_empty() || member_id.chars().count() > MAX_NAME_CHARS {
        return Err(Error::bad_request("Invalid", "Member can't be empty, nor longer than 255 characters."));
    }
    let (caller, image_id, now) = (caller.clone(), image_id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let found = shared(tx, &caller, &image_id).await?;
            if !found.may(&caller, "add_member") {
                return Err(refusal("create", &image_id));
            }
            if member::list(tx, &image_id).await?.len() >= MAX_MEMBERS {
                let message = format!("An image has at most {MAX_MEMBERS} members.");
                return Err(Error::new(ErrorKind::OverQuota, "LimitExceeded", message));
            }
            let status = MemberStatus::Pending;
            let member = Member { image_id, member_id, status, created_at: now, updated_at: now };
            match member::insert(tx, &member).await {
                Ok(()) => {
                    tx.notice(|| notify::image::member("create", &member, None));
                    Ok(member)
                }
                Err(error) if error.kind == StoreErrorKind::Duplicate => {
                    let message =
                        format!("Image {} is already shared with {}.", member.image_id, member.member_id);
                    Err(Error::conflict("Duplicate", message))
                }
                Err(error) => Err(error.into()),
            }
        })
    })
    .await
}

/// The image's members: all for the owner, its own for a member.
pub async fn list(core: &Core, caller: &Caller, image_id: &str) -> Result<Vec<Member>> {
    let mut conn = core.read().await?;
    let found = shared(&mut conn, caller, image_id).await?;
    if !found.may(caller, "get_members") {
        return Err(refusal("list", image_id));
    }
    let mut members = member::list(&mut conn, image_id).await?;
    members.retain(|member| may(&found, caller, "get_member", member));
    Ok(members)
}

/// One member, as the owner or that member sees it.
pub async fn get(core: &Core, caller: &Caller, image_id: &str, member_id: &str) -> Result<Member> {
    let mut conn = core.read().await?;
    // Whether there are members at all is nobody's business who sees none.
    let shared = shared(&mut conn, caller, image_id).await;
    let found = shared.map_err(|error| match error.kind {
        ErrorKind::Forbidden => Error { kind: ErrorKind::NotFound, code: "NotFound", ..error },
        _ => error,
    })?;
    one(&mut conn, caller, &found, member_id).await
}

/// The member takes the image or not; only the member itself may say, and 400 is for what it says that is no status.
pub async fn update(
    core: &Core,
    caller: &Caller,
    image_id: &str,
    member_id: &str,
    status: Option<MemberStatus>,
) -> Result<Member> {
    let (caller, image_id, member_id) = (caller.clone(), image_id.to_owned(), member_id.to_owned());
    let now = core.clock.now();
    core.write(move |tx| {
        Box::pin(async move {
            let found = shared(tx, &caller, &image_id).await?;
            let mut member = one(tx, &caller, &found, &member_id).await?;
            if !may(&found, &caller, "modify_member", &member) {
                return Err(refusal("update", &image_id));
            }
            member.status = status.ok_or_else(no_status)?;
            member.updated_at = now;
            member::update(tx, &member).await?;
            tx.notice(|| notify::image::member("update", &member, None));
            Ok(member)
        })
    })
    .await
}

/// Takes the offer back; for the owner.
pub async fn delete(core: &Core, caller: &Caller, image_id: &str, member_id: &str) -> Result<()> {
    let (caller, image_id, member_id) = (caller.clone(), image_id.to_owned(), member_id.to_owned());
    let now = core.clock.now();
    core.write(move |tx| {
        Box::pin(async move {
            let found = shared(tx, &caller, &image_id).await?;
            let member = one(tx, &caller, &found, &member_id).await?;
            if !may(&found, &caller, "delete_member", &member) {
                return Err(refusal("delete", &image_id));
            }
            if !member::delete(tx, &image_id, &member_id).await? {
                return Err(not_found(&image_id, &member_id));
            }
            tx.notice(|| notify::image::member("delete", &member, Some(now)));
            Ok(())
        })
    })
    .await
}

/// An image that the caller sees and that has members.
async fn shared(conn: &mut Conn, caller: &Caller, image_id: &str) -> Result<Found> {
    let found = find(conn, caller, image_id).await?;
    found.enforce(caller, "get_image")?;
    require_shared(&found.image)?;
    Ok(found)
}

/// Whether the rule lets the caller do something with this member.
fn may(found: &Found, caller: &Caller, rule: &str, member: &Member) -> bool {
    caller.may(rule, &Target { member_id: Some(&member.member_id), ..found.target() })
}

/// One member, if the caller may know of it.
async fn one(conn: &mut Conn, caller: &Caller, found: &Found, member_id: &str) -> Result<Member> {
    let member = member::get(conn, &found.image.id, member_id).await?;
    let member = member.filter(|member| may(found, caller, "get_member", member));
    member.ok_or_else(|| not_found(&found.image.id, member_id))
}

fn no_status() -> Error {
    let message = "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".";
    Error::bad_request("Invalid", message)
}

fn refusal(verb: &str, image_id: &str) -> Error {
    Error::forbidden(format!("Not allowed to {verb} members for image {image_id}."))
}

fn not_found(image_id: &str, member_id: &str) -> Error {
    let message = format!("{member_id} not found in the member list of the image {image_id}.");
    Error::not_found("NotFound", message)
}

fn require_shared(image: &Image) -> Result<()> {
    match image.visibility {
        Visibility::Shared => Ok(()),
        Visibility::Public | Visibility::Private | Visibility::Community => {
            Err(Error::forbidden("Only shared images have members."))
        }
    }
}
