//! The rules of passwords and accounts that the operator sets (`[security_compliance]`), as Keystone applies them.
//!
//! Whoever gives a wrong password learns nothing from an answer: a locked account, a disabled one and one that is not
//! there are refused in the same words after the same work. That a password has expired is told to its owner alone.

use std::collections::HashMap;

use updraft_model::Timestamp;
use updraft_model::identity::{Password, User, is_set};
use updraft_store::identity::{login_record, user};
use updraft_store::{Conn, Tx};

use super::checks;
use crate::config::SecurityCompliance;
use crate::{Core, Error, ErrorKind, Result};

const DAY_US: i64 = 24 * 3600 * 1_000_000;
const SECOND_US: i64 = 1_000_000;

const IGNORE_FIRST_USE: &str = "ignore_change_password_upon_first_use";
const IGNORE_EXPIRY: &str = "ignore_password_expiry";
const IGNORE_LOCKOUT: &str = "ignore_lockout_failure_attempts";
const IGNORE_INACTIVITY: &str = "ignore_user_inactivity";
/// The option that keeps a user from changing its own password.
const LOCK_PASSWORD: &str = "lock_password";

/// 400 for a password that does not look as it must.
pub(super) fn check_form(core: &Core, password: &str) -> Result<()> {
    let rules = &core.config.security_compliance;
    match &rules.password_regex {
        Some(regex) if !regex.matches(password) => {
            let what = rules.password_regex_description.as_deref().unwrap_or(regex.as_str());
            Err(checks::invalid(format!("The password does not match the requirements: {what}.")))
        }
        _ => Ok(()),
    }
}

/// A password that somebody is given by an administrator, or chooses itself.
pub(super) fn new_password(
    rules: &SecurityCompliance,
    now: Timestamp,
    user: &User,
    hash: String,
    is_own: bool,
) -> Password {
    let for_first_use =
        !is_own && rules.change_password_upon_first_use && !is_set(&user.options, IGNORE_FIRST_USE);
    let in_time = rules.password_expires_days.filter(|_| !is_set(&user.options, IGNORE_EXPIRY)).map(|days| {
        let end = now.0.saturating_add(i64::from(days) * DAY_US);
        Timestamp(end - end.rem_euclid(SECOND_US))
    });
    Password { hash, created_at: now, expires_at: if for_first_use { Some(now) } else { in_time }, is_own }
}

/// Gives the user another password, and remembers the old one as long as the rules ask for it.
pub(super) async fn replace(
    tx: &mut Tx,
    rules: &SecurityCompliance,
    user: &mut User,
    new: Option<Password>,
) -> Result<()> {
    // The present password is one of those that a new one may not be.
    let keep = rules.unique_last_password_count.saturating_sub(1);
    match user.password.take() {
        Some(old) if keep > 0 => {
            login_record::remember_hash(tx, &user.id, &old.hash, old.created_at, keep).await?;
        }
        _ => login_record::forget_hashes(tx, &user.id).await?,
    }
    user.password = new;
    Ok(())
}

/// 400 when the user may not choose this password now; it has proved the old one.
pub(super) async fn check_own_change(core: &Core, user: &User, password: &str) -> Result<()> {
    let rules = &core.config.security_compliance;
    check_form(core, password)?;
    if is_set(&user.options, LOCK_PASSWORD) {
        return Err(checks::invalid(
            "You cannot change your password at this time due to password policy disallowing password changes. \
             Please contact your administrator to reset your password.",
        ));
    }
    let Some(present) = &user.password else { return Ok(()) };
    let min_age_days = rules.minimum_password_age_days;
    let may_change_at = present.created_at.0.saturating_add(i64::from(min_age_days) * DAY_US);
    let wait = may_change_at - core.clock.now().0;
    if present.is_own && wait > 0 {
        return Err(checks::invalid(format!(
            "You cannot change your password at this time due to the minimum password age. Once you change your \
             password, it must be used for {min_age_days} day(s) before it can be changed. Please try again in {} \
             day(s) or contact your administrator to reset your password.",
            wait / DAY_US
        )));
    }
    let count = rules.unique_last_password_count;
    if count == 0 {
        return Ok(());
    }
    let mut before = login_record::past_hashes(&mut core.read().await?, &user.id).await?;
    before.insert(0, present.hash.clone());
    for hash in before.into_iter().take(count) {
        if core.passwords.verify(password.to_owned(), Some(hash)).await? {
            return Err(checks::invalid(format!(
                "The new password cannot be identical to a previous password. The total number which includes the \
                 new password must be unique is {count}."
            )));
        }
    }
    Ok(())
}

/// The user whose password this is. 401 for every other, for who is disabled, and for who is locked out.
pub(super) async fn authenticate(core: &Core, found: Option<User>, password: String) -> Result<User> {
    let may = match &found {
        Some(user) => user.enabled && !is_inactive(core, user).await? && !is_locked(core, user).await?,
        None => false,
    };
    let hash = found.as_ref().filter(|_| may).and_then(|user| user.password.clone());
    let fits = core.passwords.verify(password, hash.map(|password| password.hash)).await?;
    match found {
        // Guesses that ran beside this one may have used up the attempts that there were.
        Some(user) if fits => match is_locked(core, &user).await? {
            true => Err(Error::unauthorized()),
            false => Ok(user),
        },
        found => {
            // Nobody's failure is noted too, which comes to nothing: it takes as long.
            note_failure(core, found.filter(|_| may).map(|user| user.id)).await?;
            Err(Error::unauthorized())
        }
    }
}

/// 401 for a password that is good for nothing but to be changed.
pub(super) fn check_expiry(core: &Core, user: &User) -> Result<()> {
    let expires_at = user.password.as_ref().and_then(|password| password.expires_at);
    let is_over = expires_at.is_some_and(|end| end <= core.clock.now());
    match is_over && !is_set(&user.options, IGNORE_EXPIRY) {
        false => Ok(()),
        true => {
            let message = format!("The password is expired and needs to be changed for user: {}.", user.id);
            Err(Error::new(ErrorKind::Unauthorized, "PasswordExpired", message))
        }
    }
}

/// After a login: failures of before count no more, and the day is noted.
pub(super) async fn note_login(core: &Core, user: &User) -> Result<()> {
    let rules = &core.config.security_compliance;
    let day = core.clock.now().0.div_euclid(DAY_US);
    let mut conn = core.read().await?;
    let forgets = login_record::failures(&mut conn, &user.id).await?.is_some();
    let notes = rules.disable_user_account_days_inactive.is_some()
        && login_record::last_day(&mut conn, &user.id).await? != Some(day);
    drop(conn);
    if !forgets && !notes {
        return Ok(());
    }
    let user_id = user.id.clone();
    core.store
        .write(move |tx| {
            Box::pin(async move {
                if forgets {
                    login_record::forget_failures(tx, &user_id).await?;
                }
                // The user may have gone meanwhile.
                if notes && user::get(tx, &user_id).await?.is_some() {
                    login_record::note_day(tx, &user_id, day).await?;
                }
                Ok(())
            })
        })
        .await
}

async fn note_failure(core: &Core, user_id: Option<String>) -> Result<()> {
    if core.config.security_compliance.lockout_failure_attempts.is_none() {
        return Ok(());
    }
    let (user_id, now) = (user_id.unwrap_or_default(), core.clock.now());
    core.store
        .write(move |tx| {
            Box::pin(async move {
                match user::get(tx, &user_id).await? {
                    Some(_) => Ok(login_record::note_failure(tx, &user_id, now).await?),
                    None => Ok(()),
                }
            })
        })
        .await
}

/// Whether too many logins in a row failed, not long ago.
async fn is_locked(core: &Core, user: &User) -> Result<bool> {
    let rules = &core.config.security_compliance;
    let Some(allowed) = rules.lockout_failure_attempts else { return Ok(false) };
    if is_set(&user.options, IGNORE_LOCKOUT) {
        return Ok(false);
    }
    let found = login_record::failures(&mut core.read().await?, &user.id).await?;
    let Some((failures, last_at)) = found else { return Ok(false) };
    let is_recent = rules.lockout_duration.is_none_or(|duration| core.clock.now() < last_at.plus(duration));
    if !is_recent {
        let user_id = user.id.clone();
        core.store
            .write(move |tx| Box::pin(async move { login_record::forget_failures(tx, &user_id).await }))
            .await?;
    }
    Ok(failures >= i64::from(allowed) && is_recent)
}

/// Whether the user has been away for longer than an account may lie idle.
pub(super) async fn is_inactive(core: &Core, user: &User) -> Result<bool> {
    let rules = &core.config.security_compliance;
    let end = idle_at(&mut core.read().await?, rules, user).await?;
    Ok(end.is_some_and(|end| end <= core.clock.now()))
}

/// When the user counts as disabled for being away, unless it logs in before; `None` for never.
pub(super) async fn idle_at(
    conn: &mut Conn,
    rules: &SecurityCompliance,
    user: &User,
) -> Result<Option<Timestamp>> {
    if rules.disable_user_account_days_inactive.is_none() {
        return Ok(None);
    }
    Ok(idle_since(rules, user, login_record::last_day(conn, &user.id).await?))
}

fn idle_since(rules: &SecurityCompliance, user: &User, last_day: Option<i64>) -> Option<Timestamp> {
    let days = rules.disable_user_account_days_inactive?;
    if is_set(&user.options, IGNORE_INACTIVITY) {
        return None;
    }
    let made = user.created_at.map(|at| at.0.div_euclid(DAY_US));
    let end = last_day.or(made)?.saturating_add(i64::from(days));
    Some(Timestamp(end.saturating_mul(DAY_US)))
}

/// Shows who has been away for too long as disabled.
pub(super) async fn with_inactive_disabled(core: &Core, users: &mut [User]) -> Result<()> {
    let (rules, now) = (&core.config.security_compliance, core.clock.now());
    if rules.disable_user_account_days_inactive.is_none() {
        return Ok(());
    }
    let last_days = login_record::last_days(&mut core.read().await?).await?;
    let last_days: HashMap<String, i64> = last_days.into_iter().collect();
    for user in users {
        let last_day = last_days.get(&user.id).copied();
        user.enabled = user.enabled && idle_since(rules, user, last_day).is_none_or(|end| now < end);
    }
    Ok(())
}

/// When an administrator enables a user, what locked it out is forgotten.
pub(super) async fn let_in_again(
    tx: &mut Tx,
    rules: &SecurityCompliance,
    user_id: &str,
    now: Timestamp,
) -> Result<()> {
    login_record::forget_failures(tx, user_id).await?;
    if rules.disable_user_account_days_inactive.is_some() {
        login_record::note_day(tx, user_id, now.0.div_euclid(DAY_US)).await?;
    }
    Ok(())
}
