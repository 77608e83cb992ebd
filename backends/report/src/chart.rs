//! A line chart: one number over another, a line for each series.

use embedded_graphics::text::Alignment;

use crate::figure::{Canvas, Color, Figure, Ink, Shape};

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Above the chart.
    pub title: String,
    /// Below the horizontal axis.
    pub x: String,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What tells it from the others.
    pub name: String,
    /// Its points; they are joined in the order of their first numbers.
    pub points: Vec<(f64, f64)>,
}

const LEFT: i32 = 110;
const RIGHT: i32 = 70;
const TOP: i32 = 56;
const HEIGHT: i32 = 400;
const LINE: i32 = 22;
/// Ticks of an axis, besides the one at its beginning: about as many.
const TICKS: i32 = 4;
/// Most values that have a tick each, and pixels from one to the next that their numbers need.
const VALUES: usize = 12;
const APART: i32 = 64;

/// One per series, again from the start after the last.
const COLORS: [Color; 6] = [
    Color(0x1971c2),
    Color(0xd9480f),
    Color(0x2f9e44),
    Color(0x9c36b5),
    Color(0x0c8599),
    Color(0x868e96),
];

/// An axis: numbers to pixels. Numbers that span more than a decade, all above 0, lie by their logarithms.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    from: i32,
    to: i32,
}

impl Axis {
    fn new(numbers: impl Iterator<Item = f64>, from_zero: bool, from: i32, to: i32) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for n in numbers.filter(|n| n.is_finite()) {
            (low, high) = (low.min(n), high.max(n));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let logarithmic = !from_zero && low > 0.0 && high / low > 10.0;
        if from_zero {
            low = low.min(0.0);
        }
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        if from_zero {
            let step = round_step((high - low) / f64::from(TICKS));
            (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        }
        Axis {
            low,
            high,
            logarithmic,
            from,
            to,
        }
    }

    fn place(&self, n: f64) -> i32 {
        let share = if self.logarithmic {
            (n / self.low).ln() / (self.high / self.low).ln()
        } else {
            (n - self.low) / (self.high - self.low)
        };
        self.from + (f64::from(self.to - self.from) * share.clamp(0.0, 1.0)).round() as i32
    }

    /// Numbers to write at the axis: the values themselves where they have room, else round ones, else parts of a decade.
    fn ticks(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut values: Vec<f64> = values.filter(|n| n.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let roomy = |pair: &[f64]| (self.place(pair[1]) - self.place(pair[0])).abs() >= APART;
        if (2..=VALUES).contains(&values.len()) && values.windows(2).all(roomy) {
            return values;
        }
        if self.logarithmic {
            let share = |index| f64::from(index) / f64::from(TICKS);
            return (0..=TICKS)
                .map(|i| self.low * (self.high / self.low).powf(share(i)))
                .collect();
        }
        self.round_ticks()
    }

    /// Multiples of a round number.
    fn round_ticks(&self) -> Vec<f64> {
        let step = round_step((self.high - self.low) / f64::from(TICKS));
        let (first, last) = (
            (self.low / step).ceil() as i64,
            (self.high / step + 1e-9).floor() as i64,
        );
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is not below `n`.
fn round_step(n: f64) -> f64 {
    let decade = 10f64.powf(n.log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    let fits = factors.into_iter().find(|f| f * decade >= n * (1.0 - 1e-9));
    fits.unwrap_or(10.0) * decade
}

impl Chart {
    /// The picture. The vertical axis begins at 0.
    pub fn figure(&self) -> Figure {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let (right, bottom) = (Canvas::WIDTH as i32 - RIGHT, TOP + HEIGHT);
        let across = Axis::new(points().map(|p| p.0), false, LEFT, right);
        let up = Axis::new(points().map(|p| p.1), true, bottom, TOP);
        let mut shapes = Vec::new();
        shapes.push(text(LEFT, 32, Alignment::Left, Ink::INK, self.title.clone()));
        for y in up.round_ticks() {
            let height = up.place(y);
            shapes.push(Shape::Line {
                from: (LEFT, height),
                to: (right, height),
                width: 1,
                color: Ink::EMPTY,
            });
            shapes.push(text(LEFT - 10, height + 6, Alignment::Right, Ink::FAINT, short(y)));
        }
        for x in across.ticks(points().map(|p| p.0)) {
            let place = across.place(x);
            shapes.push(text(place, bottom + LINE, Alignment::Center, Ink::FAINT, short(x)));
        }
        shapes.push(text(
            (LEFT + right) / 2,
            bottom + 2 * LINE,
            Alignment::Center,
            Ink::INK,
            self.x.clone(),
        ));
        let mut below = bottom + 2 * LINE;
        for (series, color) in self.series.iter().zip(COLORS.into_iter().cycle()) {
            let mut places: Vec<(f64, f64)> = series.points.clone();
            places.sort_by(|a, b| a.0.total_cmp(&b.0));
            let places: Vec<(i32, i32)> = places.iter().map(|p| (across.place(p.0), up.place(p.1))).collect();
            for pair in places.windows(2) {
                shapes.push(Shape::Line {
                    from: pair[0],
                    to: pair[1],
                    width: 2,
                    color,
                });
            }
            for &(x, y) in &places {
                shapes.push(Shape::Rect {
                    x: x - 3,
                    y: y - 3,
                    width: 7,
                    height: 7,
                    color,
                });
            }
            if !series.name.is_empty() {
                below += LINE;
                shapes.push(text(LEFT, below, Alignment::Left, color, series.name.clone()));
            }
        }
        Figure::of(shapes, (below + LINE) as u32)
    }
}

fn text(x: i32, y: i32, align: Alignment, color: Color, text: String) -> Shape {
    Shape::Text {
        x,
        y,
        align,
        color,
        text,
    }
}

/// A number with about four digits, without zeros at its end.
fn short(n: f64) -> String {
    let (text, unit) = match n.abs() {
        size if size >= 1e6 => (format!("{:.4}", n / 1e6), "M"),
        size if size >= 1000.0 => return format!("{n:.0}"),
        size if size >= 10.0 => (format!("{n:.1}"), ""),
        _ => (format!("{n:.3}"), ""),
    };
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lie_where_their_numbers_say() {
        let chart = Chart {
            title: "a & b".to_string(),
            x: "hbm.gb".to_string(),
            series: vec![
                Series {
                    name: "one".to_string(),
                    points: vec![(3.0, 10.0), (1.0, 20.0), (2.0, 0.0)],
                },
                Series {
                    name: "two".to_string(),
                    points: vec![(1.0, 5.0)],
                },
            ],
        };
        let svg = chart.figure().svg();
        assert!(svg.contains("a &amp; b") && svg.contains("hbm.gb") && svg.contains(">two<"));
        // From the highest point at the left to the lowest in the middle.
        let middle = (110 + 1200 - 70) / 2;
        assert!(
            svg.contains(&format!("x1=\"110\" y1=\"56\" x2=\"{middle}\" y2=\"456\"")),
            "{svg}"
        );
        let mut png = Vec::new();
        chart.figure().png(&mut png).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }

    #[test]
    fn values_with_room_have_a_tick_each_and_others_round_ones() {
        let axis = |values: &[f64], from_zero| Axis::new(values.iter().copied(), from_zero, 0, 1000);
        let few = [205.0, 410.0, 820.0];
        assert_eq!(axis(&few, false).ticks(few.into_iter()), few);
        let many: Vec<f64> = (10..100).map(|i| f64::from(i) + 0.3).collect();
        let ticks = axis(&many, false).ticks(many.iter().copied());
        assert_eq!(ticks, [25.0, 50.0, 75.0]);
        let up = axis(&[9.842], true);
        assert_eq!(up.round_ticks(), [0.0, 2.5, 5.0, 7.5, 10.0]);
        assert_eq!((up.low, up.high), (0.0, 10.0));
        let shown = [0.0, 7.5, 820.0, 1234.5, 2.5e6, 1e6].map(short);
        assert_eq!(shown, ["0", "7.5", "820", "1234", "2.5M", "1M"]);
    }

    #[test]
    fn wide_ranges_lie_by_their_logarithms_and_nothing_is_drawn_of_nothing() {
        let axis = Axis::new([1.0, 10_000.0].into_iter(), false, 0, 100);
        assert_eq!(axis.place(100.0), 50);
        let empty = Chart::default().figure();
        assert!(empty.svg().starts_with("<svg") && empty.png(&mut Vec::new()).is_ok());
    }
}
