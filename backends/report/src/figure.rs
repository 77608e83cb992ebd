//! A picture of a run for a README: how busy each engine was over time.
//!
//! The layout is made once, as rectangles and texts; [`Figure::svg`] and [`Figure::png`] write the same picture.

use std::fmt::Write as _;
use std::io::Write;

use embedded_graphics::mono_font::{MonoTextStyle, ascii};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Text, TextStyleBuilder};

use crate::occupancy;
use crate::profile::Profile;
use crate::summary::Summary;

const WIDTH: u32 = Canvas::WIDTH;
const LEFT: i32 = 110;
const RIGHT: i32 = 70;
const TOP: i32 = 56;
const ROW: i32 = 46;
const GAP: i32 = 10;
const BIN: i32 = 2;

const INK: Color = Ink::INK;
const FAINT: Color = Ink::FAINT;
const EMPTY: Color = Ink::EMPTY;

/// Colors that all pictures share.
pub(crate) struct Ink;

impl Ink {
    /// Titles.
    pub const INK: Color = Color(0x1f2933);
    /// Scales.
    pub const FAINT: Color = Color(0x7b8794);
    /// Background of rows, and grids.
    pub const EMPTY: Color = Color(0xf0f3f6);
}

/// One per engine, in the order of the rows.
const ENGINES: [Color; 5] = [
    Color(0xd9480f),
    Color(0x1971c2),
    Color(0x2f9e44),
    Color(0x9c36b5),
    Color(0x868e96),
];
const DMA: Color = Color(0x0c8599);

/// Red, green and blue of eight bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color(pub u32);

/// A picture of fixed size in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    height: u32,
    shapes: Vec<Shape>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Rect {
        x: i32,
        y: i32,
        width: u32,
        height: u32,
        color: Color,
    },
    Line {
        from: (i32, i32),
        to: (i32, i32),
        width: u32,
        color: Color,
    },
    /// `x` is the side named by the alignment, `y` the baseline.
    Text {
        x: i32,
        y: i32,
        align: Alignment,
        color: Color,
        text: String,
    },
}

impl Figure {
    /// Draws the first core of a run; its timeline must have been recorded, else all rows are empty.
    pub fn new(profile: &Profile) -> Figure {
        let summary = Summary::new(profile);
        let bins = ((WIDTH as i32 - LEFT - RIGHT) / BIN) as usize;
        let mut rows: Vec<(&str, &str, Color, Vec<f64>)> = Vec::new();
        if let Some(core) = profile.cores.first() {
            let tracks = occupancy::of_tracks(&core.timeline, profile.latency_ps, bins);
            for (engine, color) in core.engines.iter().zip(ENGINES.into_iter().cycle()) {
                let track = core.timeline.tracks.iter().position(|t| t.name == engine.name);
                let row = track
                    .and_then(|t| tracks.get(t).cloned())
                    .unwrap_or_else(|| vec![0.0; bins]);
                rows.push((engine.name, engine.key, color, row));
            }
            rows.push((
                "DMA",
                "dma",
                DMA,
                occupancy::of_dma(&core.timeline, profile.latency_ps, bins),
            ));
        }

        let mut shapes = Vec::new();
        let title = format!(
            "{} on {}: {} us, TensorE {:.1}% of peak, HBM {:.1}%",
            title_name(&profile.name),
            profile.target,
            short(summary.latency_us),
            100.0 * summary.pe_utilization,
            100.0 * summary.hbm_utilization,
        );
        text(&mut shapes, LEFT, 32, Alignment::Left, INK, title);
        let right = WIDTH as i32 - RIGHT;
        for (index, (name, key, color, row)) in rows.iter().enumerate() {
            let y = TOP + index as i32 * (ROW + GAP);
            rect(&mut shapes, LEFT, y, (right - LEFT) as u32, ROW as u32, EMPTY);
            bars(&mut shapes, y, row, *color);
            text(
                &mut shapes,
                LEFT - 10,
                y + ROW / 2 + 6,
                Alignment::Right,
                INK,
                name.to_string(),
            );
            let share = summary.utilization.get(key).copied().unwrap_or(0.0);
            text(
                &mut shapes,
                right + 8,
                y + ROW / 2 + 6,
                Alignment::Left,
                FAINT,
                format!("{:.0}%", 100.0 * share),
            );
        }
        let bottom = TOP + rows.len() as i32 * (ROW + GAP);
        for tick in 0..=4 {
            let x = LEFT + (right - LEFT) * tick / 4;
            rect(&mut shapes, x, bottom - GAP, 1, 5, FAINT);
            let label = format!("{} us", short(summary.latency_us * f64::from(tick) / 4.0));
            text(&mut shapes, x, bottom + 14, Alignment::Center, FAINT, label);
        }
        Figure {
            height: (bottom + 30) as u32,
            shapes,
        }
    }

    /// A picture of these shapes, `height` pixels high.
    pub(crate) fn of(shapes: Vec<Shape>, height: u32) -> Figure {
        Figure { height, shapes }
    }

    /// The picture as SVG.
    pub fn svg(&self) -> String {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"ui-monospace, monospace\" font-size=\"16\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            self.height
        );
        for shape in &self.shapes {
            // Writing to a string has no error.
            let _ = match shape {
                Shape::Rect {
                    x,
                    y,
                    width,
                    height,
                    color,
                } => writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"#{:06x}\"/>",
                    color.0
                ),
                Shape::Line { from, to, width, color } => writeln!(
                    out,
                    "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#{:06x}\" stroke-width=\"{width}\"/>",
                    from.0, from.1, to.0, to.1, color.0
                ),
                Shape::Text {
                    x,
                    y,
                    align,
                    color,
                    text,
                } => {
                    let anchor = match align {
                        Alignment::Left => "start",
                        Alignment::Center => "middle",
                        Alignment::Right => "end",
                    };
                    let text = escape(text);
                    writeln!(
                        out,
                        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"#{:06x}\">{text}</text>",
                        color.0
                    )
                }
            };
        }
        out.push_str("</svg>\n");
        out
    }

    /// The picture as PNG.
    pub fn png(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut canvas = Canvas {
            height: self.height,
            pixels: vec![0xff; (WIDTH * self.height * 3) as usize],
        };
        for shape in &self.shapes {
            let Ok(()) = match shape {
                Shape::Rect {
                    x,
                    y,
                    width,
                    height,
                    color,
                } => Rectangle::new(Point::new(*x, *y), Size::new(*width, *height))
                    .into_styled(PrimitiveStyle::with_fill(rgb(*color)))
                    .draw(&mut canvas),
                Shape::Line { from, to, width, color } => Line::new(Point::new(from.0, from.1), Point::new(to.0, to.1))
                    .into_styled(PrimitiveStyle::with_stroke(rgb(*color), *width))
                    .draw(&mut canvas),
                Shape::Text {
                    x,
                    y,
                    align,
                    color,
                    text,
                } => {
                    let style = MonoTextStyle::new(&ascii::FONT_9X18, rgb(*color));
                    let layout = TextStyleBuilder::new().alignment(*align).build();
                    Text::with_text_style(text, Point::new(*x, *y), style, layout)
                        .draw(&mut canvas)
                        .map(drop)
                }
            };
        }
        let mut encoder = png::Encoder::new(out, WIDTH, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let io = |e: png::EncodingError| std::io::Error::other(e);
        let mut writer = encoder.write_header().map_err(io)?;
        writer.write_image_data(&canvas.pixels).map_err(io)?;
        writer.finish().map_err(io)
    }
}

fn rect(shapes: &mut Vec<Shape>, x: i32, y: i32, width: u32, height: u32, color: Color) {
    shapes.push(Shape::Rect {
        x,
        y,
        width,
        height,
        color,
    });
}

fn text(shapes: &mut Vec<Shape>, x: i32, y: i32, align: Alignment, color: Color, text: String) {
    shapes.push(Shape::Text {
        x,
        y,
        align,
        color,
        text,
    });
}

/// One bar per run of bins of equal height.
fn bars(shapes: &mut Vec<Shape>, y: i32, row: &[f64], color: Color) {
    let heights: Vec<u32> = row
        .iter()
        .map(|share| (share * f64::from(ROW)).round() as u32)
        .collect();
    let mut start = 0;
    for run in heights.chunk_by(|a, b| a == b) {
        if run[0] > 0 {
            let x = LEFT + start as i32 * BIN;
            rect(
                shapes,
                x,
                y + ROW - run[0] as i32,
                (run.len() as i32 * BIN) as u32,
                run[0],
                color,
            );
        }
        start += run.len();
    }
}

/// A program's name is a path: its last part, as far as there is room.
fn title_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    match last.char_indices().nth(48) {
        Some((end, _)) => format!("{}...", &last[..end]),
        None => last.to_string(),
    }
}

fn short(us: f64) -> String {
    match us {
        _ if us >= 1000.0 => format!("{us:.0}"),
        _ if us >= 10.0 => format!("{us:.1}"),
        _ => format!("{us:.2}"),
    }
}

fn rgb(color: Color) -> Rgb888 {
    Rgb888::new((color.0 >> 16) as u8, (color.0 >> 8) as u8, color.0 as u8)
}

/// Text as content or attribute of XML and HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

pub(crate) struct Canvas {
    height: u32,
    pixels: Vec<u8>,
}

impl Canvas {
    /// Width of every picture.
    pub const WIDTH: u32 = 1200;
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(WIDTH, self.height)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(point, color) in pixels {
            let inside = (0..WIDTH as i32).contains(&point.x) && (0..self.height as i32).contains(&point.y);
            if inside {
                let at = (point.y as usize * WIDTH as usize + point.x as usize) * 3;
                self.pixels[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;

    #[test]
    fn the_picture_shows_each_engine_and_dma() {
        let svg = Figure::new(&example()).svg();
        for label in ["TensorE", "VectorE", "DMA", "50%", "2.00 us", "example on trn2"] {
            assert!(svg.contains(label), "{label} in {svg}");
        }
        assert!(svg.contains("fill=\"#d9480f\"") && svg.contains("fill=\"#0c8599\"")); // bars of TensorE and DMA
    }

    #[test]
    fn the_title_has_room() {
        assert_eq!(title_name("/tmp/out/gpt2"), "gpt2");
        assert_eq!(title_name(&"é".repeat(60)).chars().count(), 51);
    }

    #[test]
    fn names_are_escaped() {
        let profile = Profile {
            name: "a<b".to_string(),
            ..example()
        };
        assert!(Figure::new(&profile).svg().contains("a&lt;b"));
    }

    #[test]
    fn the_png_has_the_bars() {
        let figure = Figure::new(&example());
        let mut bytes = Vec::new();
        figure.png(&mut bytes).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let orange = pixels.chunks(3).filter(|p| *p == [0xd9, 0x48, 0x0f]).count();
        assert_eq!(orange, 510 * ROW as usize); // half of the 1020 columns
    }

    #[test]
    fn an_empty_profile_is_drawn() {
        let figure = Figure::new(&Profile::default());
        assert!(figure.png(&mut Vec::new()).is_ok() && figure.svg().starts_with("<svg"));
    }
}
