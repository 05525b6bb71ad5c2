//! What is left of a run: a table and a plot in `bench/report/`, and the closing line.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::measure::{Failure, Run, machine};
use crate::target::{Reached, Target};

/// One participant with its runs.
#[derive(Clone, Debug)]
pub struct Participant {
    pub name: String,
    pub runs: Vec<Run>,
    /// System calls for one request, where strace is installed.
    pub system_calls: Option<f64>,
}

impl Participant {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), runs: Vec::new(), system_calls: None }
    }

    pub fn median(&self) -> Run {
        Run::median(&self.runs)
    }
}

/// The figure that a bench is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// More is better.
    Rate,
    /// Median latency; less is better.
    Latency,
    /// The latency that one request in a hundred exceeds; less is better.
    Tail,
    /// Resident memory; less is better.
    Memory,
}

impl Figure {
    fn of(self, run: &Run) -> f64 {
        match self {
            Self::Rate => run.rate_per_s,
            Self::Latency => run.p50_us,
            Self::Tail => run.p99_us,
            Self::Memory => run.memory_mib,
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Rate => format!("{value:.0}/s"),
            Self::Latency | Self::Tail => format!("{value:.2}us"),
            Self::Memory => format!("{value:.1}MiB"),
        }
    }

    /// How good `ours` is beside `theirs`: above one is better.
    fn ratio(self, ours: f64, theirs: f64) -> f64 {
        match self {
            Self::Rate => ours / theirs,
            Self::Latency | Self::Tail | Self::Memory => theirs / ours,
        }
    }
}

/// A finished bench.
#[derive(Debug)]
pub struct Report<'a> {
    pub name: &'a str,
    pub work: String,
    pub figure: Figure,
    pub ours: Participant,
    pub peer: Participant,
    /// Another peer, in the table, the plot and the promise.
    pub second_peer: Option<Participant>,
    pub limit: Option<Participant>,
    pub target: Target,
}

impl Report<'_> {
    fn reached(&self) -> Reached {
        let (ours, peer) = (self.ours.median(), self.peer.median());
        let second = self.second_peer.as_ref().map(Participant::median);
        let limit = self.limit.as_ref().map(Participant::median);
        let figure = |run: &Run| self.figure.of(run);
        Reached {
            ratio_peer: self.figure.ratio(figure(&ours), figure(&peer)),
            ratio_second: second.map(|second| self.figure.ratio(figure(&ours), figure(&second))),
            ratio_limit: limit.map(|limit| self.figure.ratio(figure(&ours), figure(&limit))),
            over_limit_us: limit.map(|limit| ours.p50_us - limit.p50_us),
            cpu_ratio: ours.cpu_us / peer.cpu_us,
            ours: figure(&ours),
        }
    }

    /// The line that a run ends with.
    pub fn line(&self) -> String {
        let text = |participant: &Participant| self.figure.text(self.figure.of(&participant.median()));
        let reached = self.reached();
        let (limit_name, limit) = match &self.limit {
            Some(limit) => (limit.name.as_str(), text(limit)),
            None => ("none", "-".to_owned()),
        };
        let ratio_limit = reached.ratio_limit.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        format!(
            "bench {}: ours={} peer({})={} limit({limit_name})={limit} ratio_peer={:.2} ratio_limit={ratio_limit} target={} {}",
            self.name,
            text(&self.ours),
            self.peer.name,
            text(&self.peer),
            reached.ratio_peer,
            self.target.promise.replace(' ', "_"),
            if self.target.is_met(&reached) { "met" } else { "missed" },
        )
    }

    /// The table, also for people.
    pub fn table(&self) -> String {
        let mut table = format!(
            "# {}\n\n{}\n\nOn {}; medians of {} runs each, in turn.\n\n",
            self.name,
            self.work,
            machine(),
            self.ours.runs.len()
        );
        table.push_str("| | rate | p50 | p99 | CPU each | memory | system calls each | rates of all runs |\n|---|---|---|---|---|---|---|---|\n");
        for participant in self.participants() {
            let run = participant.median();
            let calls = participant.system_calls.map_or("-".to_owned(), |calls| format!("{calls:.3}"));
            let all: Vec<_> = participant.runs.iter().map(|run| format!("{:.0}", run.rate_per_s)).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| {} | {:.0}/s | {} | {} | {} | {} | {calls} | {} |",
                participant.name,
                run.rate_per_s,
                microseconds(run.p50_us),
                microseconds(run.p99_us),
                microseconds(run.cpu_us),
                if run.memory_mib == 0.0 { "-".to_owned() } else { format!("{:.1} MiB", run.memory_mib) },
                all.join(" ")
            );
        }
        if let (Some(second), Some(ratio)) = (&self.second_peer, self.reached().ratio_second) {
            let _ = writeln!(table, "\nOurs by {}: {ratio:.2}.", second.name);
        }
        table
    }

    fn participants(&self) -> impl Iterator<Item = &Participant> {
        [&self.ours, &self.peer].into_iter().chain(&self.second_peer).chain(&self.limit)
    }

    /// Writes table and plot to `bench/report/` of the checkout that is the working folder; where they are.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save(&self) -> Result<PathBuf, Failure> {
        let folder = Path::new("bench/report");
        fs::create_dir_all(folder)?;
        let path = folder.join(self.name).with_extension("md");
        fs::write(&path, format!("{}\n`{}`\n\n![]({}.svg)\n", self.table(), self.line(), self.name))?;
        fs::write(path.with_extension("svg"), self.plot())?;
        Ok(path)
    }

    /// A bar for each participant.
    fn plot(&self) -> String {
        let bars: Vec<_> =
            self.participants().map(|one| (one.name.as_str(), self.figure.of(&one.median()))).collect();
        let most = bars.iter().map(|bar| bar.1).fold(f64::MIN_POSITIVE, f64::max);
        let height = 40 + 40 * bars.len();
        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='640' height='{height}' font-family='sans-serif' font-size='14'>\n\
             <text x='8' y='24' font-weight='bold'>{}</text>\n",
            self.name
        );
        for (index, (name, value)) in bars.iter().enumerate() {
            let (y, width) = (40 + 40 * index, value / most * 300.0);
            let colour = if index == 0 { "#2a7" } else { "#89a" };
            let label = self.figure.text(*value);
            let _ = writeln!(
                svg,
                "<text x='8' y='{}'>{name}</text><rect x='200' y='{y}' width='{width:.0}' height='26' fill='{colour}'/>\
                 <text x='{:.0}' y='{}'>{label}</text>",
                y + 18,
                208.0 + width,
                y + 18
            );
        }
        svg + "</svg>\n"
    }
}

/// In steps that a packet's cost can be seen in; nothing where nothing was measured.
fn microseconds(value: f64) -> String {
    if value == 0.0 { "-".to_owned() } else { format!("{value:.3} us") }
}
