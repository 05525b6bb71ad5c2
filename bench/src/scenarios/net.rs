//! The network benches: frames from one guest's port to another's, by netd, its peers, and a program that only copies.

use std::time::{Duration, Instant};

use crate::frames::{ALLOWED_PORT, DENIED_PORT, FLOWS, FRAME_BYTES, Flows, Frame, flow_of};
use crate::measure::{Failure, Run, SystemCalls, cpu_time};
use crate::nic::{BURST, Card};
use crate::report::{Figure, Participant, Report};
use crate::switches::{HugePages, Policy, Switch};
use crate::target::Target;

/// Of one run of one participant; the first is thrown away.
const RUN: Duration = Duration::from_millis(1500);
const WARM_UP: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;
/// A switch through which nothing comes for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// When nothing came for so long, nothing more will: far longer than a frame takes.
const QUIET: Duration = Duration::from_millis(100);
/// Frames sent while strace counts.
const TRACED: u64 = 500_000;

/// 64-byte frames one way, security groups on.
pub fn small_frames(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let _pages = HugePages::reserve(2)?;
    let mut ours = Driven::new("ours", Switch::ours()?)?;
    let mut peer = Driven::new("OVS-DPDK with conntrack", Switch::open_vswitch(Policy::SecurityGroups)?)?;
    let mut second = Driven::new("OVS-DPDK NORMAL", Switch::open_vswitch(Policy::None)?)?;
    let mut limit = Driven::new("testpmd", Switch::testpmd()?)?;
    for _ in 0..ROUNDS {
        for driven in [&mut ours, &mut peer, &mut second, &mut limit] {
            driven.run()?;
        }
    }
    let mut lost = Vec::new();
    for driven in [&ours, &peer, &second, &limit] {
        lost.push(format!("{} {:.3} %", driven.participant.name, driven.wire.lost() * 100.0));
    }
    let work = format!(
        "{FRAME_BYTES}-byte UDP frames of {FLOWS} connections, one way between two ports, counted where they arrive. \
         A denied frame arrived at neither of those with a policy, and at both of those without. Frames lost: {}.",
        lost.join(", ")
    );
    let (ours, peer) = (ours.finish()?, peer.finish()?);
    let (second_peer, limit) = (Some(second.finish()?), Some(limit.finish()?));
    Ok(Report { name, work, figure: Figure::Rate, ours, peer, second_peer, limit, target })
}

/// A switch with the guests that are plugged into it. Paused while another one runs.
struct Driven {
    wire: Wire,
    switch: Switch,
    participant: Participant,
}

impl Driven {
    fn new(name: &str, switch: Switch) -> Result<Self, Failure> {
        let named = |error: Failure| Failure::new(format!("{name}: {error}"));
        let mut wire = Wire::plug(&switch).map_err(named)?;
        wire.open_flows().and_then(|()| wire.prove(switch.policy)).map_err(named)?;
        switch.pause()?;
        Ok(Self { wire, switch, participant: Participant::new(name) })
    }

    /// One run, after a short one that is not counted.
    fn run(&mut self) -> Result<(), Failure> {
        let named = |error: Failure| Failure::new(format!("{}: {error}", self.participant.name));
        self.switch.resume()?;
        self.wire.drive(WARM_UP, u64::MAX).map_err(named)?;
        let before = cpu_time(self.switch.pid())?;
        let (count, elapsed) = self.wire.drive(RUN, u64::MAX).map_err(named)?;
        let cpu = cpu_time(self.switch.pid())? - before;
        self.participant.runs.push(Run::new(count, elapsed, &mut [], cpu));
        self.switch.pause()
    }

    /// Counts system calls in a run of its own, and sees whether the policy still holds.
    fn finish(mut self) -> Result<Participant, Failure> {
        self.switch.resume()?;
        if let Some(calls) = SystemCalls::attach(self.switch.pid()) {
            let (count, _) = self.wire.drive(PATIENCE, TRACED)?;
            self.participant.system_calls = calls.count().map(|calls| calls as f64 / count as f64);
        }
        self.wire.prove(self.switch.policy)?;
        Ok(self.participant)
    }
}

/// Two guests, Alice and Bob, and what they know of the frames between them.
struct Wire {
    alice: Card,
    bob: Card,
    out: Flows,
    back: Flows,
    denied: Flows,
    /// The number of the next frame.
    next: u64,
    /// By flow: one more than the number that arrived last.
    seen: [u64; FLOWS],
    /// Frames of runs.
    sent: u64,
    arrived: u64,
}

impl Wire {
    fn plug(switch: &Switch) -> Result<Self, Failure> {
        let [alice, bob] = &switch.sockets;
        Ok(Self {
            alice: Card::plug(alice)?,
            bob: Card::plug(bob)?,
            out: Flows::to_bob(ALLOWED_PORT)?,
            back: Flows::to_alice()?,
            denied: Flows::to_bob(DENIED_PORT)?,
            next: 0,
            seen: [0; FLOWS],
            sent: 0,
            arrived: 0,
        })
    }

    /// The share of all frames that never arrived.
    fn lost(&self) -> f64 {
        1.0 - self.arrived as f64 / self.sent.max(1) as f64
    }

    /// Opens all flows: Bob answers what he gets, and Alice gets the answers, though no rule allows them in.
    fn open_flows(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut answered = [false; FLOWS];
        while answered.contains(&false) {
            if Instant::now() > deadline {
                return Err(Failure::new("answers to frames that a rule allows do not arrive"));
            }
            for number in (0..FLOWS as u64).filter(|&number| !answered[flow_of(number)]) {
                send(&mut self.alice, &self.out.numbered(number))?;
            }
            let (mut asked, mut last) = (Vec::new(), Instant::now());
            while last.elapsed() < QUIET {
                let (out, back) = (&self.out, &self.back);
                let mut came =
                    self.bob.receive(|frame| known(out, frame).map(|number| asked.push(number)))?;
                for number in asked.drain(..) {
                    send(&mut self.bob, &back.numbered(number))?;
                }
                came += self
                    .alice
                    .receive(|frame| known(back, frame).map(|number| answered[flow_of(number)] = true))?;
                if came > 0 {
                    last = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// Sends frames that no rule allows, and some that one does. Void when a denied one arrives in spite of a policy,
    /// or does not arrive although there is none: then it would have proved nothing.
    fn prove(&mut self, policy: Policy) -> Result<(), Failure> {
        for number in 0..FLOWS as u64 {
            send(&mut self.alice, &self.denied.numbered(number))?;
            send(&mut self.alice, &self.out.numbered(number))?;
        }
        let (mut denied, mut allowed) = (0, 0);
        let mut last = Instant::now();
        while last.elapsed() < QUIET || (allowed == 0 && last.elapsed() < PATIENCE) {
            let (of_allowed, of_denied) = (&self.out, &self.denied);
            let came = self.bob.receive(|frame| {
                if of_denied.number_of(frame).is_some() {
                    denied += 1;
                    return Ok(());
                }
                known(of_allowed, frame).map(|_| allowed += 1)
            })?;
            if came > 0 {
                last = Instant::now();
            }
        }
        match policy {
            _ if allowed == 0 => Err(Failure::new("void: frames that a rule allows do not arrive")),
            Policy::SecurityGroups if denied > 0 => {
                Err(Failure::new(format!("void: {denied} frames arrived that no rule allows")))
            }
            Policy::None if denied == 0 => {
                Err(Failure::new("void: frames do not arrive though nothing denies them"))
            }
            _ => Ok(()),
        }
    }

    /// Keeps Alice's ring full for so long or until so many arrived; how many arrived at Bob, and in what time.
    fn drive(&mut self, duration: Duration, most: u64) -> Result<(u64, Duration), Failure> {
        let begin = Instant::now();
        let (mut arrived, mut last) = (0, begin);
        let elapsed = loop {
            let came = self.arrivals()?;
            arrived += came;
            let now = Instant::now();
            if came > 0 {
                last = now;
            } else if now - last > PATIENCE {
                return Err(Failure::new("nothing arrives any more"));
            }
            if now - begin >= duration || arrived >= most {
                break now - begin;
            }
            // Once round, and back to Bob: a switch that is faster than this loop would have it send for ever.
            for _ in 0..self.alice.room()? / BURST {
                for _ in 0..BURST {
                    self.alice.send(&self.out.numbered(self.next));
                    self.next += 1;
                }
                self.sent += BURST as u64;
                self.alice.flush();
            }
        };
        // What is still under way belongs to nobody's figure.
        last = Instant::now();
        while last.elapsed() < QUIET {
            if self.arrivals()? > 0 {
                last = Instant::now();
            }
        }
        Ok((arrived, elapsed))
    }

    /// Takes what arrived at Bob. Every byte must be right, no frame may come twice, and those of a flow in order.
    #[inline]
    fn arrivals(&mut self) -> Result<u64, Failure> {
        let (out, seen, next) = (&self.out, &mut self.seen, self.next);
        let came = self.bob.receive(|frame| {
            let number = known(out, frame)?;
            let last = &mut seen[flow_of(number)];
            if number < *last || number >= next {
                return Err(Failure::new(format!(
                    "void: frame {number} came twice, late, or was never sent"
                )));
            }
            *last = number + 1;
            Ok(())
        })?;
        self.arrived += came;
        Ok(came)
    }
}

/// Sends one frame at once, waiting for room.
fn send(card: &mut Card, frame: &Frame) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while card.room()? == 0 {
        if Instant::now() > deadline {
            return Err(Failure::new("the switch takes no frames"));
        }
    }
    card.send(frame);
    card.flush();
    Ok(())
}

#[inline]
fn known(flows: &Flows, frame: &Frame) -> Result<u64, Failure> {
    flows.number_of(frame).ok_or_else(|| Failure::new(format!("void: a wrong frame arrived: {frame:02x?}")))
}
