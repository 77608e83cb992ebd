//! What is written is what is read, and nothing that can stand in a file makes the reader panic.

mod common;

use std::io::Read;

use bytes::Bytes;
use ferrite_ir::isa::{Program, Var, VarKind};
use ferrite_neff::header::HEADER_SIZE;
use ferrite_neff::{Compression, Container, Neff, ReadOptions, WriteOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn neff(programs: Vec<Program>) -> Neff {
    Neff {
        name: "out/model".to_string(),
        lnc_size: programs.len() as u32,
        hlo_op_count: 17,
        programs,
    }
}

fn write(neff: &Neff, compression: Compression) -> Vec<u8> {
    neff.write(&WriteOptions { compression }).unwrap()
}

/// The container again, so that size and hash fit what a test changed.
fn rewritten(mut container: Container) -> Bytes {
    let mut out = std::io::Cursor::new(Vec::new());
    container.write(Compression::None, &mut out).unwrap();
    out.into_inner().into()
}

fn container(neff: &Neff) -> Container {
    neff.to_container().unwrap()
}

fn sample() -> Neff {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = common::program().new_tree(&mut runner).unwrap();
    neff(vec![tree.current()])
}

/// Engines' files above some size are read side by side.
#[test]
fn a_large_program_survives() {
    let mut large = sample();
    let program = &mut large.programs[0];
    let one = program.transfers.first().cloned().expect("the sample has transfers");
    program.transfers.extend(std::iter::repeat_n(one, 20_000));
    let file = write(&large, Compression::None);
    assert!(file.len() > 1 << 21, "{}", file.len());
    assert_eq!(Neff::read(&file).unwrap(), large);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn programs_survive(one in common::program(), two in common::program(), plain in any::<bool>()) {
        let neff = neff(vec![one, two]);
        let compression = if plain { Compression::None } else { Compression::Gzip };
        let file = write(&neff, compression);
        prop_assert_eq!(&write(&neff, compression), &file);
        prop_assert_eq!(Neff::read(&file).unwrap(), neff);
    }

    #[test]
    fn changed_bytes_of_a_file_do_not_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..12),
        cut in any::<bool>(),
    ) {
        let mut container = container(&sample());
        let path = container.files.keys().nth(which.index(container.files.len())).unwrap().clone();
        let mut bytes = container.files[&path].to_vec();
        if !bytes.is_empty() {
            let start = at.index(bytes.len());
            let end = if cut { bytes.len() } else { (start + with.len()).min(bytes.len()) };
            bytes.splice(start..end, with);
        }
        container.files.insert(path, bytes.into());
        let _ = Neff::read_with(rewritten(container), &ReadOptions::default());
    }

    #[test]
    fn a_changed_number_does_not_panic(which in any::<prop::sample::Index>(), number in any::<i64>()) {
        let mut container = container(&sample());
        let json: Vec<String> = container.files.keys().filter(|p| p.starts_with("sg00/") && p.ends_with(".json")).cloned().collect();
        let path = &json[which.index(json.len())];
        let text = String::from_utf8(container.files[path].to_vec()).unwrap();
        let digits: Vec<usize> = text.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
        if !digits.is_empty() {
            let at = digits[which.index(digits.len())];
            let text = format!("{}{number}{}", &text[..at], &text[at + 1..]);
            container.files.insert(path.clone(), text.into());
        }
        let _ = Neff::read_with(rewritten(container), &ReadOptions::default());
    }

    #[test]
    fn damaged_files_are_refused(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()) {
        let mut file = write(&sample(), Compression::Gzip);
        let at = HEADER_SIZE + at.index(file.len() - HEADER_SIZE);
        if cut {
            file.truncate(at);
        } else {
            prop_assume!(file[at] != with);
            file[at] = with;
        }
        prop_assert!(Neff::read(&file).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(Neff::read(&bytes).is_err());
    }
}

#[test]
fn the_payload_is_a_gzip_tar_with_the_documented_files() {
    let file = write(&sample(), Compression::Gzip);
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&file[HEADER_SIZE..]));
    let mut paths = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(
            (header.mode().unwrap(), header.mtime().unwrap(), header.uid().unwrap()),
            (0o644, 0, 0)
        );
        assert!(header.as_ustar().is_some());
        paths.push(entry.path().unwrap().display().to_string());
        entry.read_to_end(&mut Vec::new()).unwrap();
    }
    for path in [
        "kelf-0.json",
        "neff.json",
        "info.json",
        "hlo_stats.json",
        "metrics.json",
        "sg00/def.json",
    ] {
        assert!(paths.iter().any(|p| p == path), "{path}");
    }
    for engine in ["PE", "Activation", "Pool", "DVE", "SP"] {
        assert!(paths.contains(&format!("sg00/{engine}0.json")) && paths.contains(&format!("sg00/{engine}0.bin")));
    }
}

#[test]
fn the_definition_has_the_published_keys() {
    let files = container(&sample()).files;
    let json = |path: &str| -> serde_json::Value { serde_json::from_slice(&files[path]).unwrap() };
    let kelf = json("kelf-0.json");
    assert_eq!(kelf["version"], "0.5");
    assert_eq!(kelf["graphs"][0]["definition"], "sg00/def.json");
    let definition = json("sg00/def.json");
    assert_eq!(
        (&definition["name"], &definition["act"]),
        (&"definition".into(), &"Activation0.json".into())
    );
    assert_eq!(definition["pool_instr"], "Pool0.bin");
    assert_eq!(
        definition["var"]["SB"],
        serde_json::json!({"type": "state-buffer", "var_id": 0})
    );
    assert_eq!(definition["dma_queue"]["q9"]["num_queues"], 16);
}

#[test]
fn a_constant_may_be_a_npy_file() {
    let mut program = Program::new("inf2");
    let data = vec![1u8, 2, 3, 4].into();
    program.vars.push(Var {
        name: "w".to_string(),
        kind: VarKind::Const,
        bytes: 4,
        data: Some(data),
    });
    let neff = neff(vec![program]);
    let mut container = container(&neff);
    let raw = container.files.remove("sg00/const_1.raw").unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend_from_slice(&118u16.to_le_bytes());
    npy.extend_from_slice(format!("{header:<117}\n").as_bytes());
    npy.extend_from_slice(&raw);
    container.files.insert("sg00/w.npy".to_string(), npy.into());
    let definition = String::from_utf8(container.files["sg00/def.json"].to_vec()).unwrap();
    container.files.insert(
        "sg00/def.json".to_string(),
        definition.replace("const_1.raw", "w.npy").into(),
    );
    assert_eq!(Neff::from_container(&container).unwrap(), neff);
}

#[test]
fn stripped_debug_information_leaves_the_program() {
    let mut neff = sample();
    let mut container = container(&neff);
    container.files.retain(|path, _| !path.starts_with("debug_info/"));
    neff.programs[0].locs = Default::default();
    assert_eq!(Neff::from_container(&container).unwrap(), neff);
}

#[test]
fn errors_name_the_place() {
    let good = container(&sample());
    let mut missing = good.clone();
    missing.files.remove("sg00/PE0.bin");
    let mut foreign = good.clone();
    foreign
        .files
        .insert("sg00/DVE0.bin".to_string(), Bytes::from_static(&[0; 64]));
    let mut unmarked = good.clone();
    unmarked.header.feature_bits = 0;
    for (container, words) in [
        (missing, ["sg00/PE0.bin", "missing"]),
        (foreign, ["sg00/DVE0.bin", "encoding"]),
        (unmarked, ["header", "not written by Ferrite"]),
    ] {
        let error = Neff::from_container(&container).unwrap_err();
        assert!(words.iter().all(|word| error.message.contains(word)), "{error}");
    }
}

#[test]
fn contradictions_of_a_program_are_bugs() {
    let var = |name: &str, kind, data| Var {
        name: name.to_string(),
        kind,
        bytes: 2,
        data,
    };
    let cases = [
        vec![
            var("a", VarKind::Scratch { offset: 0 }, None),
            var("a", VarKind::Scratch { offset: 0 }, None),
        ],
        vec![var("SB", VarKind::Scratch { offset: 0 }, None)],
        vec![var("a", VarKind::Const, None)],
        vec![var("a", VarKind::Input { index: 0 }, Some(vec![1, 2].into()))],
    ];
    for vars in cases {
        let program = Program {
            vars,
            ..Program::new("inf2")
        };
        assert!(neff(vec![program]).to_container().is_err());
    }
    assert!(neff(vec![]).to_container().is_err());
}
