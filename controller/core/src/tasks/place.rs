//! Which host gets a server: filter, then weigh. Plain functions over what was read; claiming is the caller's, by a
//! conditional update, because another controller may choose at the same time.

use updraft_compute_api::observed::HostObserved;
use updraft_compute_api::path::HOST_DOWN_AFTER_S;
use updraft_model::Timestamp;
use updraft_model::compute::Host;
use updraft_model::compute::host::Claim;

/// Hosts tried for one server at one time. The best few are as good as all.
pub(crate) const CANDIDATES: usize = 5;

/// What a server needs of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    pub claim: Claim,
    /// Free disk that the image takes on arrival, in bytes.
    pub image_bytes: u64,
    /// A host that an administrator named.
    pub host: Option<&'a str>,
}

/// Why a host will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// Without the host's name: the tenant may read it.
    pub reason: String,
    /// It may be over in a moment: an agent that restarts, say.
    pub passing: bool,
}

/// The hosts that would do, the best first; or why none does.
pub(crate) fn choose<'a>(
    hosts: &'a [Host],
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Vec<&'a Host>, Vec<Rejection>> {
    let mut fit = Vec::new();
    let mut rejections = Vec::new();
    for host in hosts.iter().filter(|host| wanted.host.is_none_or(|name| host.hostname == name)) {
        match judge(host, wanted, now) {
            None => fit.push(host),
            Some(rejection) => rejections.push(rejection),
        }
    }
    if fit.is_empty() {
        return Err(rejections);
    }
    // Spread: the host with the most memory left, then the most CPUs; the id makes the order certain.
    fit.sort_by(|a, b| {
        let weight = |host: &Host| (host.free().memory_mib, host.free().vcpus);
        weight(b).cmp(&weight(a)).then_with(|| a.id.cmp(&b.id))
    });
    fit.truncate(CANDIDATES);
    Ok(fit)
}

/// What is against each host, with its name: for operators.
pub(crate) fn by_host(hosts: &[Host], wanted: &Wanted<'_>, now: Timestamp) -> String {
    let against =
        |host: &Host| judge(host, wanted, now).map(|why| format!("{}: {}", host.hostname, why.reason));
    let reasons: Vec<String> = hosts.iter().filter_map(against).collect();
    if reasons.is_empty() { "there is no host".to_owned() } else { reasons.join("; ") }
}

fn judge(host: &Host, wanted: &Wanted<'_>, now: Timestamp) -> Option<Rejection> {
    let lasting = |reason: String| Some(Rejection { reason, passing: false });
    let passing = |reason: String| Some(Rejection { reason, passing: true });
    if host.disabled {
        return lasting("disabled by the operator".into());
    }
    if !host.is_up(now, HOST_DOWN_AFTER_S) {
        return passing("the host does not answer".into());
    }
    if let Some(problem) = problems(host).first() {
        return passing(problem.clone());
    }
    let free = host.free();
    for (name, unit, needed, left) in [
        ("vCPUs", "", wanted.claim.vcpus, free.vcpus),
        ("memory", " MiB", wanted.claim.memory_mib, free.memory_mib),
        ("disk", " GiB", wanted.claim.disk_gib, free.disk_gib),
        ("free disk for the image", " GiB", wanted.image_bytes >> 30, host.capacity.disk_free_gib),
    ] {
        if needed > left {
            return lasting(format!("not enough {name} ({needed}{unit} needed, {left}{unit} left)"));
        }
    }
    None
}

/// What the host says is wrong with it.
fn problems(host: &Host) -> Vec<String> {
    observed(host).map(|observed| observed.problems).unwrap_or_default()
}

/// The host's last report; `None` when it does not read (it was written by another release).
pub(crate) fn observed(host: &Host) -> Option<HostObserved> {
    serde_json::from_value(host.observed.clone()).ok()
}

/// The fault that the tenant reads.
pub(crate) fn no_valid_host(rejections: &[Rejection]) -> String {
    let mut message = "No valid host was found.".to_owned();
    if rejections.is_empty() {
        message += " There are no hosts.";
    }
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for rejection in rejections {
        match counted.iter_mut().find(|(reason, _)| *reason == rejection.reason) {
            Some((_, count)) => *count += 1,
            None => counted.push((&rejection.reason, 1)),
        }
    }
    for (reason, count) in counted {
        let hosts = if count == 1 { "host" } else { "hosts" };
        message += &format!(" {count} {hosts}: {reason}.");
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use updraft_model::Timestamp;
    use updraft_model::compute::Host;
    use updraft_model::compute::host::{Capacity, Claim};

    use super::{Wanted, choose, no_valid_host};

    fn host(id: &str, memory_mib: u64) -> Host {
        Host {
            id: id.into(),
            hostname: id.into(),
            agent_url: String::new(),
            capacity: Capacity { vcpus: 2, memory_mib, disk_gib: 10, disk_free_gib: 10 },
            claimed: Claim::default(),
            plan_generation: 0,
            seen_generation: 0,
            disabled: false,
            disabled_reason: None,
            forced_down: false,
            last_seen_at: Timestamp(0),
            created_at: Timestamp(0),
            observed: json!({}),
        }
    }

    fn wanted(memory_mib: u64) -> Wanted<'static> {
        Wanted { claim: Claim { vcpus: 1, memory_mib, disk_gib: 1 }, image_bytes: 0, host: None }
    }

    fn names(hosts: &[Host], wanted: &Wanted<'_>) -> Result<Vec<String>, String> {
        choose(hosts, wanted, Timestamp(1))
            .map(|fit| fit.iter().map(|host| host.id.clone()).collect())
            .map_err(|rejections| no_valid_host(&rejections))
    }

    #[test]
    fn the_emptiest_host_comes_first() {
        let hosts = [host("a", 1000), host("b", 2000), host("c", 2000)];
        assert_eq!(names(&hosts, &wanted(500)).unwrap(), ["b", "c", "a"]);
        let only = Wanted { host: Some("a"), ..wanted(500) };
        assert_eq!(names(&hosts, &only).unwrap(), ["a"]);
    }

    /// Each way to be refused, and the words for it.
    #[test]
    fn a_refusal_says_why_for_every_host() {
        let full = Host { claimed: Claim { vcpus: 8, ..Claim::default() }, ..host("a", 1000) };
        let away = Host { last_seen_at: Timestamp(-61_000_000), ..host("a", 1000) };
        let kept = Host { disabled: true, ..host("a", 1000) };
        let ill = Host { observed: report(&["QEMU is not installed"]), ..host("a", 1000) };
        for (hosts, words) in [
            (vec![], "There are no hosts."),
            (vec![host("a", 10)], "1 host: not enough memory (500 MiB needed, 10 MiB left)."),
            (vec![host("a", 10), host("b", 10)], "2 hosts: not enough memory"),
            (vec![full], "not enough vCPUs (1 needed, 0 left)"),
            (vec![away], "the host does not answer"),
            (vec![kept], "disabled by the operator"),
            (vec![ill], "QEMU is not installed"),
        ] {
            let message = names(&hosts, &wanted(500)).unwrap_err();
            assert!(message.starts_with("No valid host was found.") && message.contains(words), "{message}");
        }
    }

    fn report(problems: &[&str]) -> serde_json::Value {
        json!({
            "host_id": "6d0c7c5c-3b75-4a0e-9a3a-0f1d3d1c8d11", "hostname": "a", "plan_generation": 0, "agent_url": "",
            "accelerator": "tcg", "accelerator_reason": "", "hypervisor_version": "",
            "capacity": {"vcpus": 2, "memory_mib": 1000, "disk_gib": 10, "disk_free_gib": 10},
            "servers": [], "ports": {}, "problems": problems,
        })
    }
}
