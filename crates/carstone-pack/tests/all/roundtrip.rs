//! What goes into a pack comes out of it, at random and front to back.

use std::io::{Read, Seek, SeekFrom};

use crate::support::{self, content, pack, pack_with_threads, stream_contents};
use carstone_pack::{EntryKind, Event, Metadata, PackReader, PackStream, PackWriter, Timestamp};

const SIZES: [usize; 8] =
    [0, 1, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 2 << 20, (9 << 20) + 17];

#[test]
fn files_of_all_sizes_come_back() {
    let packed = pack(|writer| {
        for (n, size) in SIZES.iter().enumerate() {
            let path = format!("d{}/file-{n}", n % 3);
            writer.add_file(path.as_bytes(), Metadata::default(), content(n, *size).as_slice())?;
        }
        Ok(())
    });
    let reader = packed.reader();
    for (n, size) in SIZES.iter().enumerate() {
        let path = format!("d{}/file-{n}", n % 3);
        let entry = reader.find(path.as_bytes()).expect("sound").expect("listed");
        assert_eq!(entry.size, Some(*size as u64));
        let mut read = Vec::new();
        reader.open_file(&entry).expect("sound").read_to_end(&mut read).expect("sound");
        assert!(read == content(n, *size), "{path}");
    }
    let listed: Vec<_> = reader.entries().map(|entry| entry.expect("sound").path).collect();
    assert_eq!(listed.len(), 8 + 3 + 1);
    assert_eq!(listed[..3], [b"".to_vec(), b"d0".to_vec(), b"d0/file-0".to_vec()]);
    packed.verify_is_clean();
    let streamed = stream_contents(&packed);
    for (n, size) in SIZES.iter().enumerate() {
        assert!(streamed[format!("d{}/file-{n}", n % 3).as_bytes()] == content(n, *size));
    }
}

#[test]
fn blocks_are_all_content_and_can_be_got_by_cid() {
    let packed = pack(|writer| {
        writer.add_file(b"a", Metadata::default(), &b"same"[..])?;
        writer.add_file(b"b", Metadata::default(), &b"same"[..])?;
        writer.add_file(b"c", Metadata::default(), content(1, 3 << 20).as_slice()).map(drop)
    });
    let reader = packed.reader();
    let blocks: Vec<_> = reader.blocks().map(|block| block.expect("sound")).collect();
    assert_eq!(blocks.len() as u64, reader.tail().blocks); // 4 leaves, a file node, a directory.
    assert_eq!(blocks.len(), 6);
    for (cid, data) in blocks {
        carstone_car::verify(&cid, &data).expect("a block hashes to its CID");
        assert_eq!(reader.get(&cid).expect("sound"), Some(data));
    }
    assert_eq!(reader.get(&carstone_car::cid_of(0x55, b"absent")).expect("sound"), None);
}

#[test]
fn bytes_do_not_depend_on_threads() {
    let build = |threads| {
        pack_with_threads(threads, |writer| {
            for n in 0..600 {
                let path = format!("{n:03}");
                let data = content(n, n * 37);
                writer.add_small_file(
                    path.as_bytes(),
                    Metadata::default(),
                    data.len(),
                    move || Ok((data, false)),
                )?;
            }
            writer.add_file(b"large", Metadata::default(), content(9, 5 << 20).as_slice())?;
            Ok(())
        })
    };
    let (one, four) = (build(1), build(4));
    assert!(one.bytes == four.bytes);
    one.verify_is_clean();
}

#[test]
fn interleaved_entries_come_back_whole() {
    let parts = 7;
    let packed = pack(|writer| {
        let ids: Vec<_> = (0..5)
            .map(|n| writer.start_entry(format!("e{n}").as_bytes(), Metadata::default()))
            .collect::<Result<_, _>>()?;
        for part in 0..parts {
            for (n, id) in ids.iter().enumerate() {
                writer.append(*id, &content(n * 100 + part, 700_000 * (n % 3) + 5))?;
            }
            writer.add_file(
                format!("small{part}").as_bytes(),
                Metadata::default(),
                &b"between"[..],
            )?;
        }
        ids.into_iter().rev().try_for_each(|id| writer.end_entry(id))
    });
    packed.verify_is_clean();
    let streamed = stream_contents(&packed);
    for n in 0..5 {
        let expected: Vec<u8> =
            (0..parts).flat_map(|part| content(n * 100 + part, 700_000 * (n % 3) + 5)).collect();
        assert!(streamed[format!("e{n}").as_bytes()] == expected, "e{n}");
    }
}

#[test]
fn equal_blocks_stand_once_and_are_referred_to() {
    let shared = content(1, 3 << 20);
    let packed = pack(|writer| {
        writer.add_file(b"a", Metadata::default(), shared.as_slice())?;
        let mut other = content(2, 1 << 20);
        other.extend_from_slice(&shared[1 << 20..]);
        other.extend_from_slice(&content(3, 5));
        writer.add_file(b"b", Metadata::default(), other.as_slice())?;
        writer.add_file(b"c", Metadata::default(), shared.as_slice())?;
        writer.add_file(b"d", Metadata::default(), &b"same"[..])?;
        writer.add_file(b"e", Metadata::default(), &b"same"[..])?;
        writer.add_file(b"zeros", Metadata::default(), vec![0; 40 << 20].as_slice())?;
        Ok(())
    });
    assert!(packed.bytes.len() < 7 << 20, "{}", packed.bytes.len());
    packed.verify_is_clean();
    let streamed = stream_contents(&packed);
    assert!(streamed[b"c".as_slice()] == shared);
    assert_eq!(streamed[b"e".as_slice()], b"same");
    assert!(streamed[b"zeros".as_slice()] == vec![0; 40 << 20]);
    let reader = packed.reader();
    let entry = reader.find(b"b").expect("sound").expect("listed");
    let mut file = reader.open_file(&entry).expect("sound");
    file.seek(SeekFrom::End(-7)).expect("inside");
    let mut end = Vec::new();
    file.read_to_end(&mut end).expect("sound");
    assert_eq!(end[..2], shared[(3 << 20) - 2..]);
    assert_eq!(end[2..], content(3, 5));
}

#[test]
fn links_directories_and_metadata_are_kept() {
    let mut metadata = Metadata::new(0o4755, Timestamp { seconds: -5, nanos: 123_456_789 });
    metadata.uid = Some(1000);
    metadata.user = Some(b"mason".to_vec());
    metadata.xattrs = vec![(b"user.origin".to_vec(), b"quarry\xff".to_vec())];
    let odd = b"line\nbreak-\xff".as_slice();
    let packed = pack(|writer| {
        writer.add_directory(b"", Metadata::new(0o700, Timestamp::default()))?;
        writer.add_directory(b"empty", metadata.clone())?;
        writer.add_symlink(b"link", b"../nowhere", metadata.clone())?;
        let original = writer.add_file(b"original", metadata.clone(), &b"content"[..])?;
        writer.expect_hard_links(original);
        writer.add_hard_link(b"sub/other", original, b"original", metadata.clone())?;
        writer.add_file(odd, metadata.clone(), &b"odd"[..])?;
        Ok(())
    });
    packed.verify_is_clean();
    let reader = packed.reader();
    let find = |path: &[u8]| reader.find(path).expect("sound").expect("listed");
    assert_eq!(find(b"").mode, Some(0o700));
    assert_eq!(find(b"empty").kind, EntryKind::Directory);
    let announced = reader.announced(&find(b"empty")).expect("sound").expect("announced");
    assert_eq!(announced.metadata, metadata);
    assert_eq!(find(b"link").target.as_deref(), Some(b"../nowhere".as_slice()));
    assert_eq!(find(b"sub/other").target.as_deref(), Some(b"original".as_slice()));
    assert!(find(odd).sha256.is_some(), "no directory node can tell the digest");
    assert!(find(b"original").sha256.is_none(), "the directory node tells the digest");
    let sha256 = reader.sha256(&find(b"original")).expect("sound");
    assert_eq!(reader.sha256(&find(b"sub/other")).expect("sound"), sha256);
    let mut content = Vec::new();
    let mut file = reader.open_file(&find(b"sub/other")).expect("sound");
    file.read_to_end(&mut content).expect("sound");
    assert_eq!(content, b"content");
}

#[test]
fn ten_thousand_entries_need_several_pages() {
    let packed = pack(|writer| {
        for n in 0..10_000 {
            let path = format!("{}/{}/{n}", n % 7, n % 91);
            writer.add_file(path.as_bytes(), Metadata::default(), n.to_string().as_bytes())?;
        }
        Ok(())
    });
    packed.verify_is_clean();
    let reader = packed.reader();
    for n in (0..10_000).step_by(487) {
        let path = format!("{}/{}/{n}", n % 7, n % 91);
        let entry = reader.find(path.as_bytes()).expect("sound").expect("listed");
        let mut content = String::new();
        reader.open_file(&entry).expect("sound").read_to_string(&mut content).expect("sound");
        assert_eq!(content, n.to_string());
    }
    assert_eq!(reader.find(b"3/nothing").expect("sound"), None);
    assert_eq!(
        reader.entries_within(b"3").count(),
        reader
            .entries()
            .filter(|entry| {
                carstone_pack::is_within(&entry.as_ref().expect("sound").path, b"3")
            })
            .count()
    );
}

#[test]
fn abandoned_and_forgotten_entries_are_not_listed() {
    let packed = pack(|writer| {
        let gone = writer.start_entry(b"gone", Metadata::default())?;
        writer.append(gone, &content(1, 3 << 20))?;
        writer.abandon_entry(gone)?;
        let small = writer.start_entry(b"small", Metadata::default())?;
        writer.append(small, b"x")?;
        writer.abandon_entry(small)?;
        assert!(writer.append(small, b"y").is_err());
        writer.add_file(b"kept", Metadata::default(), &b"kept"[..]).map(drop)
    });
    packed.verify_is_clean();
    let paths: Vec<_> = packed.reader().entries().map(|e| e.expect("sound").path).collect();
    assert_eq!(paths, [b"".to_vec(), b"kept".to_vec()]);
    let events = packed.events();
    assert!(events.iter().any(|event| matches!(event, Event::Abandoned { .. })));
}

#[test]
fn a_name_that_leads_outside_is_refused() {
    let mut writer = support::writer(1);
    for path in [&b"/etc/passwd"[..], b"a/../../b", b"..", b"a//b", b"a\0b"] {
        assert!(writer.add_file(path, Metadata::default(), &b""[..]).is_err(), "{path:?}");
    }
    assert!(writer.add_file(b"", Metadata::default(), &b""[..]).is_err());
}

#[test]
fn two_entries_under_one_path_are_an_error() {
    let mut writer = support::writer(1);
    writer.add_file(b"a", Metadata::default(), &b"1"[..]).expect("fine");
    writer.add_file(b"a", Metadata::default(), &b"2"[..]).expect("not known yet");
    assert!(writer.finish().is_err());
    let mut writer = support::writer(1);
    writer.add_file(b"a", Metadata::default(), &b"1"[..]).expect("fine");
    writer.add_file(b"a/b", Metadata::default(), &b"2"[..]).expect("not known yet");
    assert!(writer.finish().is_err());
}

#[test]
fn a_failing_source_costs_its_entry_only() {
    let packed = pack(|writer| {
        let start = content(1, 2 << 20);
        let failing = start.as_slice().chain(support::Failing);
        assert!(writer.add_file(b"bad", Metadata::default(), failing).is_err());
        writer.add_small_file(b"worse", Metadata::default(), 5, || {
            Err(std::io::Error::other("gone"))
        })?;
        writer.add_file(b"good", Metadata::default(), &b"good"[..]).map(drop)
    });
    packed.verify_is_clean();
    let paths: Vec<_> = packed.reader().entries().map(|e| e.expect("sound").path).collect();
    assert_eq!(paths, [b"".to_vec(), b"good".to_vec()]);
}

#[test]
fn an_unfinished_pack_streams_what_is_there() {
    let packed = pack(|writer| {
        for n in 0..300 {
            let path = format!("{n}");
            writer.add_file(path.as_bytes(), Metadata::default(), content(n, 20_000).as_slice())?;
        }
        Ok(())
    });
    let cut = &packed.bytes[..packed.bytes.len() / 2];
    assert!(PackReader::open(cut.to_vec(), packed.id, packed.tail).is_err());
    let mut stream = PackStream::open(cut, packed.id).expect("the header is there");
    let mut ended = 0;
    let error = loop {
        match stream.next() {
            Ok(Some(Event::End { .. })) => ended += 1,
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cut pack must not read as complete"),
            Err(error) => break error,
        }
    };
    assert!(ended > 100 && ended < 200, "{ended}, {error}");
}

#[test]
fn readers_and_writers_cross_threads() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<PackWriter<carstone_pack::PlainPipe<Vec<u8>>>>();
    send::<PackReader<std::sync::Arc<std::fs::File>>>();
    sync::<PackReader<std::sync::Arc<std::fs::File>>>();
    send::<PackStream<std::fs::File>>();
}
