//! What a bench found: a line for programs, or the same for people; and a picture of how far it is from what was wanted.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

/// Says what was found, by which bench, on what machine.
pub(crate) fn say(bench: &str, mut line: Value, as_json: bool) {
    line["bench"] = json!(bench);
    line["machine"] = machine();
    if as_json { println!("{line}") } else { println!("{line:#}") }
}

/// What figures depend on.
fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches([' ', '\t', ':']).trim().to_owned()
    };
    let memory_kib: u64 = after(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    json!({
        "processor": after(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_mb": memory_kib / 1024,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// What a figure is to be.
#[derive(Clone, Copy)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// What is wanted of the engine, figure by figure.
const BARS: [(&str, &str, Bar); 19] = [
    ("booking", "ratio_to_ceiling", Bar::AtLeast(0.25)),
    ("booking", "ratio_to_serializable", Bar::AtLeast(3.0)),
    ("booking", "p99_ratio", Bar::AtMost(4.0)),
    ("booking", "light_p99_syncs", Bar::AtMost(12.0)),
    ("booking", "hot_ratio", Bar::AtLeast(0.8)),
    ("surge", "all_answered_s", Bar::AtMost(1.0)),
    ("surge", "ratio_to_ceiling", Bar::AtLeast(0.6)),
    ("surge", "queue_rate_error", Bar::AtMost(0.05)),
    ("postgres", "ratio_to_textbook", Bar::AtLeast(1.5)),
    ("postgres", "two_process_ratio", Bar::AtLeast(0.9)),
    ("postgres", "hot_ratio", Bar::AtLeast(0.7)),
    ("growth", "ratio", Bar::AtLeast(0.8)),
    ("growth", "ready_s", Bar::AtMost(2.0)),
    ("growth", "memory_mb", Bar::AtMost(400.0)),
    ("growth", "bytes_per_booking", Bar::AtMost(1500.0)),
    ("live", "kib_per_watcher", Bar::AtMost(24.0)),
    ("live", "p99_ms", Bar::AtMost(250.0)),
    ("live", "slowdown", Bar::AtMost(0.2)),
    ("ticket", "ratio_to_verify", Bar::AtLeast(0.85)),
];

/// Draws how far figures are from what is wanted: `--json` lines of benches in, one picture (SVG) out.
#[derive(Args)]
pub(crate) struct Plot {
    /// A file of such lines; of a bench that is in it twice, the last line counts.
    lines: PathBuf,
}

impl Plot {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.lines).with_context(|| self.lines.display().to_string())?;
        let lines: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .context("a line of JSON for each bench")?;
        let of = |bench: &str, figure: &str| {
            let line = lines.iter().rev().find(|line| line["bench"] == *bench)?;
            line[figure].as_f64()
        };
        let rows = BARS.iter().filter_map(|(bench, figure, bar)| Some((*bench, *figure, *bar, of(bench, figure)?)));
        print!("{}", draw(&rows.collect::<Vec<_>>()));
        Ok(())
    }
}

/// A line for each figure: how long it is, against the mark where what is wanted lies.
fn draw(rows: &[(&str, &str, Bar, f64)]) -> String {
    const ROW: usize = 24;
    const LEFT: f64 = 230.0;
    const MARK: f64 = 270.0;
    const WIDTH: usize = 820;
    let height = ROW * (rows.len() + 2);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>Figures of the benches, against what is wanted</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (n, (bench, figure, bar, value)) in rows.iter().enumerate() {
        let (wanted, met, words) = match bar {
            Bar::AtLeast(wanted) => (*wanted, value >= wanted, "at least"),
            Bar::AtMost(wanted) => (*wanted, value <= wanted, "at most"),
        };
        let (y, colour) = (ROW * (n + 1), if met { "#2a7d4f" } else { "#c2410c" });
        let long = (value / wanted).clamp(0.005, 1.6) * MARK;
        let (text, short) = (y + 15, if met { "" } else { ", short" });
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{text}\" text-anchor=\"end\">{bench} {figure}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{long:.0}\" height=\"14\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"{text}\" fill=\"#333\">{value} ({words} {wanted}{short})</text>",
            LEFT - 8.0,
            y + 4,
            LEFT + long.max(MARK) + 8.0,
        );
    }
    let x = LEFT + MARK;
    let _ = writeln!(
        svg,
        "<line x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{}\" stroke=\"#111\" stroke-dasharray=\"4 3\"/>\
         <text x=\"{x}\" y=\"16\" text-anchor=\"middle\">what is wanted</text>\n</svg>",
        ROW - 4,
        height - ROW
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_of_what_is_wanted_is_said_to_be() {
        let met = draw(&[("growth", "memory_mb", Bar::AtMost(400.0), 384.0)]);
        assert!(met.contains("384 (at most 400)") && met.contains("#2a7d4f"), "{met}");
        let short = draw(&[("booking", "hot_ratio", Bar::AtLeast(0.8), 0.4)]);
        assert!(short.contains("0.4 (at least 0.8, short)") && short.contains("width=\"135\""), "{short}");
    }
}
