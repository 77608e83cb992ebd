//! What a machine's parameters do to a model: `ferrite sweep`.
//!
//! In: a model, a target, and lists of values for numbers of its machine model. Every combination is compiled and its time
//! simulated. A combination that does not compile, or that is no machine, is a point with its reason.

use std::fmt::Write as _;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::Module;
use ferrite_ir::machine::MachineModel;
use ferrite_neff::Neff;
use ferrite_report::{Chart, Series, Summary};
use serde::Serialize;
use toml::{Table, Value};

use crate::options::CompileOptions;
use crate::run::{self, RunOptions};
use crate::{compile, files};

/// Most combinations of one sweep.
pub const MAX_POINTS: usize = 4096;

/// A number of the machine model and the values it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Vary {
    /// Dotted path: `sbuf.usable_bytes_per_partition`.
    pub path: String,
    /// What it becomes.
    pub values: Vec<Change>,
}

/// A value, or a factor to the number that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// This number.
    To(f64),
    /// That many times the number of the file.
    Times(f64),
}

impl std::str::FromStr for Vary {
    type Err = String;

    /// `path=1,2,x0.5`.
    fn from_str(text: &str) -> Result<Vary, String> {
        let (path, list) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is no PATH=VALUE,VALUE,..."))?;
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
        let change = |word: &str| {
            let found = match word.strip_prefix('x') {
                Some(factor) => number(factor).map(Change::Times),
                None => number(word).map(Change::To),
            };
            found.ok_or_else(|| format!("`{word}` is no number, and no factor such as x0.5"))
        };
        let values = list.split(',').map(|w| change(w.trim())).collect::<Result<_, _>>()?;
        Ok(Vary {
            path: path.trim().to_string(),
            values,
        })
    }
}

/// One combination.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The number that each varied parameter has.
    pub values: Vec<f64>,
    /// The simulated run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// All combinations, the last parameter varying fastest.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// Name of the model.
    pub model: String,
    /// The target that was varied.
    pub target: String,
    /// Paths of the parameters.
    pub parameters: Vec<String>,
    /// The combinations.
    pub points: Vec<Point>,
}

/// Sweeps. Unless `keep_program`, every machine gets a program compiled for it; else the program for the unchanged machine is
/// simulated on all of them.
///
/// # Errors
/// A parameter that the machine model does not have, and a model that does not compile for the unchanged machine.
pub fn sweep(
    model: &Module,
    varied: &[Vary],
    options: &CompileOptions,
    keep_program: bool,
) -> Result<Sweep, Vec<Diagnostic>> {
    let one = |e: Diagnostic| vec![e];
    let base = machine_table(options).map_err(one)?;
    let lists: Vec<Vec<f64>> = varied
        .iter()
        .map(|v| values(&base, v))
        .collect::<Result<_>>()
        .map_err(one)?;
    let count = lists.iter().try_fold(1usize, |n, l| n.checked_mul(l.len()));
    let count = count.filter(|&n| n <= MAX_POINTS).ok_or_else(|| {
        let text = format!("the lists have more than {MAX_POINTS} combinations");
        vec![Diagnostic::error(Code::Usage, text).help("vary fewer parameters at a time")]
    })?;
    let kept = keep_program
        .then(|| compile::compile(model.clone(), options))
        .transpose()?;
    let mut points = Vec::with_capacity(count);
    for index in 0..count {
        let (mut rest, mut picked) = (index, vec![0.0; lists.len()]);
        for (slot, list) in picked.iter_mut().zip(&lists).rev() {
            *slot = list[rest % list.len()];
            rest /= list.len();
        }
        let outcome = machine_text(&base, varied, &picked)
            .map_err(one)
            .and_then(|text| measure(model, &text, options, kept.as_ref().map(|c| &c.neff)));
        let (summary, error) = match outcome {
            Ok(summary) => (Some(summary), None),
            Err(errors) => (None, errors.first().map(|e| format!("{}: {}", e.code, e.message))),
        };
        points.push(Point {
            values: picked,
            summary,
            error,
        });
    }
    Ok(Sweep {
        model: options.name.clone(),
        target: options.target.clone(),
        parameters: varied.iter().map(|v| v.path.clone()).collect(),
        points,
    })
}

fn measure(
    model: &Module,
    machine: &str,
    options: &CompileOptions,
    kept: Option<&Neff>,
) -> Result<Summary, Vec<Diagnostic>> {
    let extensions = (*options.extensions).clone().machine(machine).map_err(|e| vec![e])?;
    let options = CompileOptions {
        machine: None,
        extensions: std::sync::Arc::new(extensions),
        ..options.quiet()
    };
    let compiled = match kept {
        Some(_) => None,
        None => Some(compile::compile(model.clone(), &options)?.neff),
    };
    let simulation = RunOptions {
        machine: None,
        extensions: options.extensions.clone(),
        timeline: false,
    };
    let neff = kept
        .or(compiled.as_ref())
        .ok_or_else(|| vec![Diagnostic::bug("there is no program")])?;
    Ok(Summary::new(&run::profile(neff, &simulation)?))
}

/// The file of the machine that the options name, as data.
fn machine_table(options: &CompileOptions) -> Result<Table> {
    let text = match &options.machine {
        Some(path) => String::from_utf8(files::read(path)?)
            .map_err(|_| Diagnostic::error(Code::Parse, format!("`{}` is not UTF-8 text", path.display())))?,
        None => match options.extensions.find_machine(&options.target) {
            Some((_, text)) => text.clone(),
            None => {
                MachineModel::target(&options.target)?;
                MachineModel::target_text(&options.target)
                    .unwrap_or_default()
                    .to_string()
            }
        },
    };
    MachineModel::from_toml(&text)?;
    toml::from_str(&text).map_err(|e| Diagnostic::error(Code::Parse, format!("target file: {e}")))
}

/// The place of a number: the value itself, or the table with its provenance.
fn number_at<'t>(table: &'t Table, path: &str) -> Option<&'t Value> {
    let mut keys = path.split('.');
    let mut value = table.get(keys.next()?)?;
    for key in keys {
        value = value.get(key)?;
    }
    Some(value)
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(n) => Some(*n),
        Value::Table(t) => as_number(t.get("value")?),
        _ => None,
    }
}

fn values(base: &Table, vary: &Vary) -> Result<Vec<f64>> {
    let Some(now) = number_at(base, &vary.path).and_then(as_number) else {
        let text = format!("the machine model has no number `{}`", vary.path);
        let section = vary.path.split('.').next().unwrap_or_default();
        let help = match base.get(section).and_then(Value::as_table) {
            Some(t) => format!("`{section}` has: {}", t.keys().cloned().collect::<Vec<_>>().join(", ")),
            None => "`ferrite targets --print NAME` shows all".to_string(),
        };
        return Err(Diagnostic::error(Code::Usage, text).help(help));
    };
    let changed = vary.values.iter().map(|change| match change {
        Change::To(value) => *value,
        Change::Times(factor) => now * factor,
    });
    Ok(changed.collect())
}

/// The machine's file with other numbers; whole numbers stay whole.
fn machine_text(base: &Table, varied: &[Vary], values: &[f64]) -> Result<String> {
    let mut table = base.clone();
    for (vary, &value) in varied.iter().zip(values) {
        let mut keys = vary.path.split('.');
        let mut place = keys.next().and_then(|key| table.get_mut(key));
        for key in keys {
            place = place.and_then(|v| v.get_mut(key));
        }
        let Some(place) = place else {
            return Err(Diagnostic::bug(format!("`{}` was there before", vary.path)));
        };
        let whole = match &*place {
            Value::Table(t) => matches!(t.get("value"), Some(Value::Integer(_))),
            other => matches!(other, Value::Integer(_)),
        };
        let number = match whole {
            true if value.fract() == 0.0 && value.abs() < 9e15 => Value::Integer(value as i64),
            true => {
                let text = format!("`{}` is a whole number; {value} is none", vary.path);
                return Err(Diagnostic::error(Code::Usage, text));
            }
            false => Value::Float(value),
        };
        let mut entry = Table::new();
        entry.insert("value".to_string(), number);
        entry.insert("assumed".to_string(), Value::String("varied by a sweep".to_string()));
        *place = Value::Table(entry);
    }
    toml::to_string(&table).map_err(|e| Diagnostic::bug(format!("a machine model that is no TOML: {e}")))
}

impl Sweep {
    /// A line per combination, with a header.
    pub fn csv(&self) -> String {
        let mut out = self.parameters.join(",");
        out.push_str(",latency_us,cycles,instructions,dma_transfers,hbm_read_bytes,hbm_written_bytes,pe_utilization");
        let keys = self.engine_keys();
        for key in &keys {
            let _ = write!(out, ",busy_{key}");
        }
        out.push_str(",error\n");
        for point in &self.points {
            let values: Vec<String> = point.values.iter().map(f64::to_string).collect();
            out.push_str(&values.join(","));
            match &point.summary {
                Some(s) => {
                    let _ = write!(
                        out,
                        ",{:.4},{},{},{},{},{},{:.6}",
                        s.latency_us,
                        s.cycles,
                        s.instructions,
                        s.dma_transfers,
                        s.hbm_read_bytes,
                        s.hbm_written_bytes,
                        s.pe_utilization
                    );
                    for key in &keys {
                        let share = s.utilization.get(key.as_str()).copied().unwrap_or_default();
                        let _ = write!(out, ",{share:.6}");
                    }
                }
                None => out.push_str(&",".repeat(7 + keys.len())),
            }
            let error = point.error.as_deref().unwrap_or_default();
            let _ = writeln!(out, ",{}", quoted(error));
        }
        out
    }

    /// The same for people: aligned columns, bytes in MB, what is busy in percent of the time.
    pub fn table(&self) -> String {
        let mut rows = vec![self.parameters.clone()];
        let keys = self.engine_keys();
        let figures = [
            "latency us",
            "cycles",
            "instructions",
            "read MB",
            "written MB",
            "PE array %",
        ];
        rows[0].extend(figures.map(String::from));
        rows[0].extend(keys.iter().map(|key| format!("{key} %")));
        for point in &self.points {
            let mut row: Vec<String> = point.values.iter().map(f64::to_string).collect();
            if let Some(s) = &point.summary {
                let megabytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
                row.extend([
                    format!("{:.2}", s.latency_us),
                    s.cycles.to_string(),
                    s.instructions.to_string(),
                ]);
                row.extend([megabytes(s.hbm_read_bytes), megabytes(s.hbm_written_bytes)]);
                let shares = keys.iter().map(|key| s.utilization.get(key.as_str()).copied());
                let shares = std::iter::once(Some(s.pe_utilization)).chain(shares);
                row.extend(shares.map(|share| format!("{:.1}", 100.0 * share.unwrap_or_default())));
            }
            rows.push(row);
        }
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut out = String::new();
        let errors = self.points.iter().map(|p| p.error.as_deref());
        for (row, error) in rows.iter().zip(std::iter::once(None).chain(errors)) {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}"));
            out.push_str(&cells.chain(error.map(String::from)).collect::<Vec<_>>().join("  "));
            out.push('\n');
        }
        out
    }

    fn engine_keys(&self) -> Vec<String> {
        let first = self.points.iter().find_map(|p| p.summary.as_ref());
        first
            .map(|s| s.utilization.keys().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    /// Latency over the first parameter, a line for each combination of the others.
    pub fn chart(&self) -> Chart {
        let mut series: Vec<Series> = Vec::new();
        for point in &self.points {
            let (Some(summary), Some((&x, others))) = (&point.summary, point.values.split_first()) else {
                continue;
            };
            let names = self.parameters.iter().skip(1).zip(others);
            let name = names.map(|(p, v)| format!("{p} = {v}")).collect::<Vec<_>>().join(", ");
            let place = (x, summary.latency_us);
            match series.iter_mut().find(|s| s.name == name) {
                Some(known) => known.points.push(place),
                None => series.push(Series {
                    name,
                    points: vec![place],
                }),
            }
        }
        Chart {
            title: format!("{} on a varied {}: simulated latency in us", self.model, self.target),
            x: self.parameters.first().cloned().unwrap_or_default(),
            series,
        }
    }
}

/// A field of a CSV line.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;

    use super::*;

    fn model() -> Module {
        let text = "func.func public @main(%x: tensor<256x2048xf32>) -> tensor<256x2048xf32> {
          %0 = stablehlo.exponential %x : tensor<256x2048xf32>
          return %0 : tensor<256x2048xf32>
        }";
        Frontend::read(text.as_bytes(), "m").unwrap()
    }

    #[test]
    fn slower_memory_makes_a_longer_run_and_no_machine_is_a_point_with_its_reason() {
        let varied: [Vary; 2] = [
            "dma.bytes_per_ns_per_engine=x0.25,x1".parse().unwrap(),
            "sbuf.usable_bytes_per_partition=180224,1e9".parse().unwrap(),
        ];
        let sweep = sweep(&model(), &varied, &CompileOptions::default(), false).unwrap();
        assert_eq!(sweep.points.len(), 4);
        let latency = |i: usize| sweep.points[i].summary.as_ref().unwrap().latency_us;
        assert!(latency(0) > 1.5 * latency(2), "{} {}", latency(0), latency(2));
        assert!(sweep.points[1].error.as_ref().unwrap().contains("exceeds"));
        let csv = sweep.csv();
        assert_eq!(csv.lines().count(), 5);
        let fields = csv.lines().next().unwrap().split(',').count();
        assert_eq!(csv.lines().nth(1).unwrap().split(',').count(), fields);
        let table = sweep.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[1].len(), lines[0].len(), "{table}");
        assert!(
            lines[2].contains("exceeds") && lines[0].contains("latency us"),
            "{table}"
        );
        let chart = sweep.chart();
        assert_eq!((chart.series.len(), chart.series[0].points.len()), (1, 2));
    }

    #[test]
    fn a_smaller_array_takes_longer_and_computes_the_same() {
        let text = "func.func public @main(%x: tensor<96x256xf32>, %w: tensor<256x512xf32>) -> tensor<96x512xf32> {
          %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<96x256xf32>, tensor<256x512xf32>) -> tensor<96x512xf32>
          return %0 : tensor<96x512xf32>
        }";
        let model = Frontend::read(text.as_bytes(), "m").unwrap();
        for side in ["pe.rows=32,64,128", "pe.columns=32,64,128"] {
            let found = sweep(&model, &[side.parse().unwrap()], &CompileOptions::default(), false).unwrap();
            let latency = |i: usize| {
                let point = &found.points[i];
                point
                    .summary
                    .as_ref()
                    .unwrap_or_else(|| panic!("{side}: {:?}", point.error))
                    .latency_us
            };
            assert!(latency(0) > latency(1) && latency(1) > latency(2), "{side}");
        }
    }

    #[test]
    fn wrong_parameters_are_told() {
        assert!("pe.rows".parse::<Vary>().is_err() && "pe.rows=fast".parse::<Vary>().is_err());
        let wrong: [Vary; 1] = ["sbuf.size=1".parse().unwrap()];
        let errors = sweep(&model(), &wrong, &CompileOptions::default(), false).unwrap_err();
        assert!(errors[0].help.as_ref().unwrap().contains("usable_bytes_per_partition"));
        let many: Vec<Vary> = vec!["sbuf.usable_bytes_per_partition=1,2,3,4,5,6,7,8,9,10".parse().unwrap(); 4];
        assert!(sweep(&model(), &many, &CompileOptions::default(), false).is_err());
    }
}
