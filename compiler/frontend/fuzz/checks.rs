//! What must hold of any bytes that a front end is given. The fuzz targets and a test of the workspace share it.

use ferrite_frontend::{Frontend, write_hlo_proto, write_hlo_text};
use ferrite_ir::hlo::parse::parse;
use ferrite_ir::hlo::print::print;

/// Reads bytes of any kind. What is accepted is printed and read back, and comes out the same; it is written as HLO
/// where HLO has a form for it.
///
/// # Panics
/// If one of these does not hold; so does whatever has a defect on the way.
pub fn read(bytes: &[u8]) {
    let Ok(module) = Frontend::read(bytes, "fuzz") else {
        return;
    };
    let text = print(&module);
    match parse(&text) {
        Ok(back) => assert_eq!(print(&back), text, "what was printed reads back as another program"),
        Err(errors) => panic!("what was printed is not read back: {}\n{text}", errors[0]),
    }
    let written = [
        write_hlo_proto(&module),
        write_hlo_text(&module).map(String::into_bytes),
    ];
    for bytes in written.into_iter().flatten() {
        let _ = Frontend::read(&bytes, "written");
    }
}
