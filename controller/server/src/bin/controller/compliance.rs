//! `[security_compliance]`: what is asked of passwords and accounts, in Keystone's terms.

use std::time::Duration;

use serde::Deserialize;
use updraft_core::SecurityCompliance;
use updraft_core::identity::PasswordRegex;

/// A number of days; more than a century is a typing error.
const DAYS: std::ops::RangeInclusive<u32> = 1..=36_500;
/// Passwords of before that are compared with a new one, each at the cost of a login.
const MAX_UNIQUE_PASSWORDS: usize = 24;
const LOCKOUT_S: std::ops::RangeInclusive<u64> = 1..=365 * 24 * 3600;
/// Keystone's half an hour.
const DEFAULT_LOCKOUT_S: u64 = 1800;

/// The section as it stands in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compliance {
    password_regex: Option<String>,
    password_regex_description: Option<String>,
    change_password_upon_first_use: bool,
    password_expires_days: Option<u32>,
    minimum_password_age_days: u32,
    unique_last_password_count: usize,
    lockout_failure_attempts: Option<u32>,
    /// 0: until an administrator enables the user again.
    lockout_duration_s: Option<u64>,
    disable_user_account_days_inactive: Option<u32>,
}

impl Compliance {
    /// What the use cases need of it; else what is wrong.
    pub fn core(&self) -> Result<SecurityCompliance, String> {
        let password_regex = self.password_regex.as_deref().map(|text| {
            PasswordRegex::parse(text).ok_or_else(|| {
                "security_compliance.password_regex is no regular expression, or has look-around after its beginning"
                    .to_owned()
            })
        });
        for (name, days) in [
            ("password_expires_days", self.password_expires_days),
            ("disable_user_account_days_inactive", self.disable_user_account_days_inactive),
        ] {
            if days.is_some_and(|days| !DAYS.contains(&days)) {
                return Err(format!("security_compliance.{name} must be in {DAYS:?}"));
            }
        }
        if self.password_expires_days.is_some_and(|days| days <= self.minimum_password_age_days) {
            return Err(
                "security_compliance.minimum_password_age_days must be less than password_expires_days"
                    .into(),
            );
        }
        if self.unique_last_password_count > MAX_UNIQUE_PASSWORDS {
            return Err(format!(
                "security_compliance.unique_last_password_count must be at most {MAX_UNIQUE_PASSWORDS}"
            ));
        }
        if self.lockout_failure_attempts == Some(0) {
            return Err("security_compliance.lockout_failure_attempts must be at least 1".into());
        }
        let lockout_s = self.lockout_duration_s.unwrap_or(DEFAULT_LOCKOUT_S);
        if lockout_s != 0 && !LOCKOUT_S.contains(&lockout_s) {
            return Err(format!("security_compliance.lockout_duration_s must be 0 or in {LOCKOUT_S:?}"));
        }
        Ok(SecurityCompliance {
            password_regex: password_regex.transpose()?,
            password_regex_description: self.password_regex_description.clone(),
            change_password_upon_first_use: self.change_password_upon_first_use,
            password_expires_days: self.password_expires_days,
            minimum_password_age_days: self.minimum_password_age_days,
            unique_last_password_count: self.unique_last_password_count,
            lockout_failure_attempts: self.lockout_failure_attempts,
            lockout_duration: (lockout_s != 0).then(|| Duration::from_secs(lockout_s)),
            disable_user_account_days_inactive: self.disable_user_account_days_inactive,
        })
    }
}
