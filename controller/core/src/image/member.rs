//! Projects that a shared image is offered to. The owner offers; the member takes it or not.

use updraft_model::image::{Image, MAX_MEMBERS, MAX_NAME_CHARS, Member, MemberStatus, Visibility};
use updraft_store::image::member;
use updraft_store::{Conn, StoreErrorKind};

use super::access::{changeable, visible};
use crate::policy::require_member;
use crate::{Caller, Core, Error, ErrorKind, Result};

/// Offers an image to a project. 409 when it is offered already, 403 unless the image is shared.
pub async fn create(core: &Core, caller: &Caller, image_id: &str, member_id: String) -> Result<Member> {
    if member_id.is_empty() || member_id.chars().count() > MAX_NAME_CHARS {
        return Err(Error::bad_request("Invalid", "Member can't be empty, nor longer than 255 characters."));
    }
    let (caller, image_id, now) = (caller.clone(), image_id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let image = changeable(tx, &caller, &image_id).await?;
            require_shared(&image)?;
            if member::list(tx, &image_id).await?.len() >= MAX_MEMBERS {
                let message = format!("An image has at most {MAX_MEMBERS} members.");
                return Err(Error::new(ErrorKind::OverQuota, "LimitExceeded", message));
            }
            let status = MemberStatus::Pending;
            let member = Member { image_id, member_id, status, created_at: now, updated_at: now };
            match member::insert(tx, &member).await {
                Ok(()) => Ok(member),
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
    let image = visible(&mut conn, caller, image_id).await?;
    require_shared(&image)?;
    let mut members = member::list(&mut conn, image_id).await?;
    members.retain(|member| caller.sees(&image.owner) || caller.sees(&member.member_id));
    Ok(members)
}

/// One member, as the owner or that member sees it.
pub async fn get(core: &Core, caller: &Caller, image_id: &str, member_id: &str) -> Result<Member> {
    let mut conn = core.read().await?;
    let image = visible(&mut conn, caller, image_id).await?;
    if !caller.sees(&image.owner) && !caller.sees(member_id) {
        return Err(not_found(member_id));
    }
    find(&mut conn, image_id, member_id).await
}

/// The member takes the image or not; only the member itself may say.
pub async fn update(
    core: &Core,
    caller: &Caller,
    image_id: &str,
    member_id: &str,
    status: MemberStatus,
) -> Result<Member> {
    let (caller, image_id, member_id) = (caller.clone(), image_id.to_owned(), member_id.to_owned());
    let now = core.clock.now();
    core.write(move |tx| {
        Box::pin(async move {
            require_shared(&visible(tx, &caller, &image_id).await?)?;
            let mut member = find(tx, &image_id, &member_id).await?;
            if !caller.sees(&member_id) {
                return Err(Error::forbidden("Only the member may change the status of its membership."));
            }
            require_member(&caller)?;
            member.status = status;
            member.updated_at = now;
            member::update(tx, &member).await?;
            Ok(member)
        })
    })
    .await
}

/// Takes the offer back; for the owner.
pub async fn delete(core: &Core, caller: &Caller, image_id: &str, member_id: &str) -> Result<()> {
    let (caller, image_id, member_id) = (caller.clone(), image_id.to_owned(), member_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            require_shared(&changeable(tx, &caller, &image_id).await?)?;
            match member::delete(tx, &image_id, &member_id).await? {
                true => Ok(()),
                false => Err(not_found(&member_id)),
            }
        })
    })
    .await
}

async fn find(conn: &mut Conn, image_id: &str, member_id: &str) -> Result<Member> {
    member::get(conn, image_id, member_id).await?.ok_or_else(|| not_found(member_id))
}

fn not_found(member_id: &str) -> Error {
    Error::not_found("NotFound", format!("{member_id} is not a member of the image."))
}

fn require_shared(image: &Image) -> Result<()> {
    match image.visibility {
        Visibility::Shared => Ok(()),
        Visibility::Public | Visibility::Private | Visibility::Community => {
            Err(Error::forbidden("Only shared images have members."))
        }
    }
}
