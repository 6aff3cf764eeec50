//! What the fuzz targets do with their input, so that tests can do it too.
//!
//! A target is a function that takes any bytes and panics where a law does not hold. `fuzz/fuzz_targets` hands it to the fuzzer, and
//! `tests/replay.rs` runs it on its seeds and on what the fuzzer once found. How to add one stands in `docs/fuzzing.md`.

mod built;
mod car;
mod carv2;
mod carve;
mod chunks;
mod compress;
mod dags;
mod damage;
mod encrypt;
mod extract;
mod folder;
mod hppr;
mod indexes;
mod input;
mod keys;
mod laws;
mod layer;
mod listings;
mod multi;
mod pack;
mod parity;
mod plain;
mod position;
mod raw;
mod records;
mod salvage;
mod scans;
mod segments;
mod signs;
mod sources;
mod stack;
mod tree;
mod unixfs;
mod vectors;

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target {
    /// Its name: that of the file in `fuzz/fuzz_targets` and of the folder in `fuzz/regressions`.
    pub name: &'static str,
    /// Takes any bytes, and panics where something does not hold.
    pub run: fn(&[u8]),
    /// Inputs to start from, the same each time.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}

/// Runs the target of this name.
///
/// # Panics
/// Something does not hold, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    (Target::named(name).expect("a target of this name").run)(data);
}

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

/// All targets, innermost crates first.
pub const TARGETS: &[Target] = &[
    target("layer_frame", layer::frame, layer::frame_seeds),
    target("layer_correct", layer::correct, input::choices),
    target("layer_scan", layer::scan, input::choices),
    target("raw_container", raw::container, raw::container_seeds),
    target("raw_strict", raw::strict, input::choices),
    target("raw_fail_safe", raw::fail_safe, input::choices),
    target("encrypt_header", encrypt::header, encrypt::header_seeds),
    target("encrypt_strict", encrypt::strict, input::choices),
    target("encrypt_fail_safe", encrypt::fail_safe, input::choices),
    target("compress_codec", compress::codec, compress::codec_seeds),
    target("compress_strict", compress::strict, input::choices),
    target("compress_fail_safe", compress::fail_safe, input::choices),
    target("compress_forged", compress::forged, input::choices),
    target("position_strict", position::strict, input::choices),
    target("position_fail_safe", position::fail_safe, input::choices),
    target("keys_envelope", keys::envelope, keys::envelope_seeds),
    target("keys_sealed", keys::sealed, input::choices),
    target("keys_files", keys::files, keys::files_seeds),
    target("keys_signature", signs::signature, signs::signature_seeds),
    target("keys_signers", signs::signers, signs::signers_seeds),
    target("parity_frames", parity::frames, parity::frames_seeds),
    target("parity_table", parity::table, input::choices),
    target("parity_matcher", parity::matcher, input::choices),
    target("car_header", car::header, car::header_seeds),
    target("car_section", car::section, car::section_seeds),
    target("car_stream", car::stream, car::stream_seeds),
    target("car_v2", carv2::v2, carv2::v2_seeds),
    target("car_writer", carv2::writer, input::choices),
    target("car_scan", scans::scan, input::choices),
    target("car_index", indexes::index, input::choices),
    target("car_indexed", indexes::indexed, input::choices),
    target("car_multi_index", multi::index, multi::index_seeds),
    target("car_salvage", carve::cars, carve::cars_seeds),
    target("car_dag_node", dags::node, dags::node_seeds),
    target("car_dag_selector", dags::selector, dags::selector_seeds),
    target("car_dag_walk", dags::walk, dags::walk_seeds),
    target("unixfs_node", unixfs::node, unixfs::node_seeds),
    target("unixfs_directories", unixfs::directories, input::choices),
    target("unixfs_files", unixfs::files, input::choices),
    target("unixfs_chunks", chunks::chunks, chunks::chunks_seeds),
    target("unixfs_build", unixfs::build, input::choices),
    target("pack_record", pack::record, pack::record_seeds),
    target("pack_paths", pack::paths, pack::paths_seeds),
    target("pack_sorter", pack::sorter, input::choices),
    target("pack_block_map", pack::block_map, input::choices),
    target("pack_plain", plain::plain, input::choices),
    target("pack_built", pack::built, input::choices),
    target("pack_sections", pack::sections_changed, input::choices),
    target("pack_round_trip", pack::round_trip, input::choices),
    target("pack_salvage", salvage::built, input::choices),
    target("extract_packs", extract::packs, input::choices),
    target("extract_dags", extract::dags, input::choices),
    target("stack_any", stack::any, stack::any_seeds),
    target("stack_open", stack::open, input::choices),
    target("stack_verify", stack::verify, input::choices),
    target("stack_stream", stack::stream, input::choices),
    target("stack_fail_safe", stack::fail_safe, input::choices),
    target("stack_salvage", stack::salvage, input::choices),
    target("stack_heal", stack::heal, input::choices),
    target("stack_carve", carve::images, input::choices),
    target("store_index_segment", segments::segment, input::choices),
    target("store_index_record", listings::record, listings::record_seeds),
    target("store_listing", listings::listing, listings::listing_seeds),
    target("hppr_packet", hppr::packet, hppr::packet_seeds),
    target("hppr_trailer", hppr::trailer, hppr::trailer_seeds),
    target("hppr_urc", hppr::urc, hppr::text_seeds),
    target("hppr_b64a", hppr::b64a, hppr::text_seeds),
    target("hppr_thin", hppr::thin, hppr::thin_seeds),
    target("hppr_car", hppr::car, hppr::car_seeds),
];
