//! The `file` driver: what only a driver on files can get wrong.
#![cfg(all(feature = "file", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy takes only a test's own function for a test, not what it calls"
)]

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader, Write as _},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, SystemTime},
};

use arvel_session::{
    Error, ErrorKind, Time,
    store::{
        At, Expect, FileStore, Key, Kind, Record, Reply, Revision, Saved, SessionStore, Write,
    },
};
use tempfile::TempDir;

mod conformance {
    use super::*;

    arvel_session::conformance_tests!({
        let folder = Arc::new(TempDir::new().unwrap());
        arvel_session::conformance::Opener::private(move || {
            let folder = folder.clone();
            async move { FileStore::open(folder.path()) }
        })
    });
}

const NOW: Time = Time::from_millis(1_790_000_000_000);
const FIRST_SLOT: u64 = 16;
const SECOND_SLOT: u64 = 2056;
const HEAD: u64 = 28;

struct Fixture {
    store: FileStore,
    root: PathBuf,
    _folder: TempDir,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("framework/sessions");
    Fixture {
        store: FileStore::open(&root).unwrap(),
        root,
        _folder: folder,
    }
}

impl Fixture {
    fn path(&self, key: &Key) -> PathBuf {
        path(&self.root, key)
    }

    fn load(&self, key: &Key) -> Result<Option<Record>, Error> {
        wait(|| self.store.load(At::Key(key)))
    }

    fn insert(&self, key: &Key, record: &Record) {
        let saved = save(&self.store, key, Expect::Absent, record).unwrap();
        assert!(matches!(saved, Saved::Done), "{saved:?}");
    }

    fn update(&self, key: &Key, from: u64, record: &Record) -> Saved {
        save(&self.store, key, at(from), record).unwrap()
    }
}

fn path(root: &Path, key: &Key) -> PathBuf {
    let hex = key.hex();
    root.join(&hex[..2]).join(hex)
}

/// A key whose files spread like those of real ones.
fn key(number: u64) -> Key {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    hash[24..].copy_from_slice(&number.to_be_bytes());
    Key::new([0; 2], hash)
}

fn at(revision: u64) -> Expect {
    Expect::Revision(Revision::from_u64(revision))
}

/// A record from whose revision the body follows, so that a mixture of two would show.
fn record(revision: u64, length: usize) -> Record {
    let mut body = revision.to_be_bytes().repeat(length.div_ceil(8));
    body.truncate(length);
    let expires = NOW.after(Duration::from_secs(7200));
    Record::new(Kind::Sealed, Revision::from_u64(revision), expires, body)
}

fn expiring(revision: u64, expires: Time) -> Record {
    Record {
        expires,
        ..record(revision, 300)
    }
}

fn assert_whole(found: &Record) {
    let expected = record(found.revision.as_u64(), found.body.len());
    assert!(
        found.body == expected.body,
        "a mixture of records: {found:?}"
    );
}

fn wait<T>(reply: impl FnOnce() -> Reply<T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { reply().await })
}

fn save(store: &FileStore, key: &Key, expect: Expect, record: &Record) -> Result<Saved, Error> {
    wait(|| store.save(key, expect, Write::new(record.clone(), NOW)))
}

fn replace(
    store: &FileStore,
    old: &Key,
    expect: u64,
    new: &Key,
    record: &Record,
    durable: bool,
) -> Saved {
    let mut write = Write::new(record.clone(), NOW);
    write.durable = durable;
    let marker = Record::new(
        Kind::Regenerated(*new),
        record.revision,
        record.expires,
        Vec::new(),
    );
    wait(|| store.replace(old, Revision::from_u64(expect), marker, new, write)).unwrap()
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

/// Adds one to the number in the record's body, as often as it takes; 0 is the first.
fn increment(store: &FileStore, key: &Key, revision: u64) {
    let mut expect = Expect::Absent;
    let mut number = 0;
    loop {
        let mut next = record(revision, 0);
        next.body = u64::to_be_bytes(number).to_vec().into();
        match save(store, key, expect, &next).unwrap() {
            Saved::Conflict(Some(there)) => {
                expect = Expect::Revision(there.revision);
                number = u64::from_be_bytes(there.body[..].try_into().unwrap()) + 1;
            }
            Saved::Done => return,
            other => panic!("{other:?}"),
        }
    }
}

fn counted(fixture: &Fixture, key: &Key) -> u64 {
    let found = fixture.load(key).unwrap().unwrap();
    u64::from_be_bytes(found.body[..].try_into().unwrap()) + 1
}

/// What this process was started for, when a test has started it: a role and a folder.
#[allow(clippy::disallowed_methods, reason = "how a test speaks to its child")]
fn child_role() -> Option<(String, FileStore)> {
    let role = std::env::var("ARVEL_TEST_CHILD_ROLE").ok()?;
    let folder = std::env::var("ARVEL_TEST_CHILD_FOLDER").ok()?;
    Some((role, FileStore::open(folder).unwrap()))
}

/// This program again, to run `test` alone.
fn child(test: &str, role: &str, root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("ARVEL_TEST_CHILD_ROLE", role)
        .env("ARVEL_TEST_CHILD_FOLDER", root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The same in a process whose files cannot grow beyond 5 KiB, which stands for a full disk: a write that goes on from
/// there kills it, or fails when `survive`.
fn child_on_a_full_disk(test: &str, survive: bool, root: &Path) -> bool {
    let trap = if survive { "trap '' XFSZ;" } else { "" };
    Command::new("sh")
        .arg("-c")
        .arg(format!("{trap} ulimit -f 10 && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("ARVEL_TEST_CHILD_ROLE", "full")
        .env("ARVEL_TEST_CHILD_FOLDER", root)
        // Through pipes: if the tests' own output goes to a file, that cannot grow either.
        .output()
        .unwrap()
        .status
        .success()
}

/// Tells the parent of an acknowledged write, without a buffer in between.
fn acknowledge(key: u64, revision: u64) {
    let line = format!("ack {key} {revision}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// Kills the child this long after its first acknowledgement, and says what was acknowledged last under each key.
fn kill_after(mut child: Child, time: Duration) -> HashMap<u64, u64> {
    let output = child.stdout.take().unwrap();
    let (begun, beginning) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut acknowledged = HashMap::new();
        for line in BufReader::new(output).lines() {
            let line = line.unwrap();
            let Some((_, numbers)) = line.split_once("ack ") else {
                continue;
            };
            let (key, revision) = numbers.split_once(' ').unwrap();
            acknowledged.insert(key.parse().unwrap(), revision.parse().unwrap());
            // Nobody listens any more from the second one on.
            let _ = begun.send(());
        }
        acknowledged
    });
    beginning.recv_timeout(Duration::from_secs(60)).unwrap();
    thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn records_of_all_sizes_are_kept_exactly_in_one_file() {
    let f = fixture();
    let key = key(1);
    let sizes = [
        0,
        1,
        300,
        1994,
        1995,
        4050,
        4051,
        300,
        16_338,
        16_339,
        70_000,
        131_026,
        131_027,
        2,
        1 << 20,
        5 << 20,
        (16 << 20) - 18,
        4000,
        17,
        (16 << 20) - 18,
        (16 << 20) - 18,
        (16 << 20) - 18,
        (16 << 20) - 18,
        300,
        300,
    ];
    f.insert(&key, &record(1, 300));
    for (revision, size) in (1..).zip(sizes) {
        let next = record(revision + 1, size);
        assert!(matches!(f.update(&key, revision, &next), Saved::Done));
        assert!(f.load(&key).unwrap().unwrap() == next, "{size} bytes");
    }
    let error = save(&f.store, &key, at(1), &record(2, 16 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn a_conflict_changes_nothing_and_hands_back_what_is_there() {
    let f = fixture();
    let (one, none) = (key(1), key(2));
    f.insert(&one, &record(1, 300));
    let bytes = fs::read(f.path(&one)).unwrap();
    for expect in [Expect::Absent, at(2)] {
        let saved = save(&f.store, &one, expect, &record(3, 300)).unwrap();
        let Saved::Conflict(Some(there)) = saved else {
            panic!("{saved:?}");
        };
        assert_eq!(there, record(1, 300));
    }
    assert_eq!(fs::read(f.path(&one)).unwrap(), bytes);
    assert!(matches!(
        f.update(&none, 1, &record(2, 1)),
        Saved::Conflict(None)
    ));
    assert!(!f.path(&none).exists());
    assert!(f.load(&none).unwrap().is_none());
}

#[test]
fn threads_on_two_handles_lose_no_update() {
    let f = fixture();
    let other = FileStore::open(&f.root).unwrap();
    thread::scope(|scope| {
        for worker in 0..8 {
            let store = if worker % 2 == 0 { &f.store } else { &other };
            scope
                .spawn(move || (0..100).for_each(|i| increment(store, &key(1), worker * 1000 + i)));
        }
    });
    assert_eq!(counted(&f, &key(1)), 800);
}

#[test]
fn processes_lose_no_update() {
    const TEST: &str = "processes_lose_no_update";
    if let Some((role, store)) = child_role() {
        let first: u64 = role.parse().unwrap();
        return (first..first + 200).for_each(|revision| increment(&store, &key(1), revision));
    }
    let f = fixture();
    let children: Vec<_> = (0..4)
        .map(|n| child(TEST, &(n * 1000).to_string(), &f.root))
        .collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert_eq!(counted(&f, &key(1)), 800);
}

#[test]
fn a_killed_writer_loses_nothing_that_was_acknowledged() {
    const TEST: &str = "a_killed_writer_loses_nothing_that_was_acknowledged";
    const KEYS: u64 = 12;
    const SIZES: [usize; 5] = [200, 1900, 3000, 20_000, 150_000];
    if let Some((_, store)) = child_role() {
        for turn in 0.. {
            let id = turn % KEYS;
            let found = wait(|| store.load(At::Key(&key(id)))).unwrap();
            let expect = found
                .as_ref()
                .map_or(Expect::Absent, |there| Expect::Revision(there.revision));
            let revision = found.map_or(0, |there| there.revision.as_u64()) + 1;
            let size = SIZES[usize::try_from(revision + id).unwrap() % SIZES.len()];
            let saved = save(&store, &key(id), expect, &record(revision, size)).unwrap();
            assert!(matches!(saved, Saved::Done));
            acknowledge(id, revision);
        }
    }
    let f = fixture();
    let mut acknowledged = HashMap::new();
    for round in 0..60 {
        let child = child(TEST, "write", &f.root);
        acknowledged.extend(kill_after(child, Duration::from_micros(round * 331)));
        for id in 0..KEYS {
            let last = acknowledged.get(&id).copied().unwrap_or(0);
            let found = match f.load(&key(id)) {
                // The first record of all, never acknowledged, and of several blocks.
                Err(error) if error.kind() == ErrorKind::Corrupt && last == 0 => {
                    fs::remove_file(f.path(&key(id))).unwrap();
                    continue;
                }
                found => found.unwrap(),
            };
            found.iter().for_each(assert_whole);
            let revision = found.map_or(0, |there| there.revision.as_u64());
            assert!(
                revision == last || revision == last + 1,
                "{revision} after {last}"
            );
            acknowledged.insert(id, revision);
        }
    }
}

#[test]
fn a_killed_replacement_leaves_the_old_session_or_a_marker_to_the_new_one() {
    const TEST: &str = "a_killed_replacement_leaves_the_old_session_or_a_marker_to_the_new_one";
    if let Some((first, store)) = child_role() {
        for id in first.parse().unwrap().. {
            let saved = replace(
                &store,
                &key(id),
                id,
                &key(id + 1),
                &record(id + 1, 500),
                id % 8 == 0,
            );
            assert!(matches!(saved, Saved::Done), "{saved:?}");
            acknowledge(0, id + 1);
        }
    }
    let f = fixture();
    f.insert(&key(1), &record(1, 500));
    let mut live = 1;
    for round in 0..40 {
        let child = child(TEST, &live.to_string(), &f.root);
        let acknowledged = kill_after(child, Duration::from_micros(round * 331));
        let from = live;
        live = acknowledged.get(&0).copied().unwrap_or(live);
        for dead in from..live {
            assert_eq!(
                f.load(&key(dead)).unwrap().unwrap().kind,
                Kind::Regenerated(key(dead + 1))
            );
        }
        if f.load(&key(live)).unwrap().unwrap().kind == Kind::Regenerated(key(live + 1)) {
            live += 1;
        }
        assert_eq!(f.load(&key(live)).unwrap().unwrap(), record(live, 500));
        // The orphan that the crash may have left stands under an id that is used again only here.
        let _ = fs::remove_file(f.path(&key(live + 1)));
    }
}

#[test]
fn a_reader_sees_whole_records_and_never_an_older_one() {
    let f = fixture();
    let done = AtomicBool::new(false);
    f.insert(&key(1), &record(1, 300));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut newest = 0;
                    while !done.load(Ordering::Relaxed) {
                        let found = f.load(&key(1)).unwrap().unwrap();
                        assert_whole(&found);
                        assert!(found.revision.as_u64() >= newest);
                        newest = found.revision.as_u64();
                    }
                    newest
                })
            })
            .collect();
        for revision in 1..1000 {
            let size = [300, 1500, 3500, 300, 9000][usize::try_from(revision).unwrap() % 5];
            assert!(matches!(
                f.update(&key(1), revision, &record(revision + 1, size)),
                Saved::Done
            ));
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 1);
        }
    });
}

#[test]
fn a_torn_slot_leaves_the_other_one() {
    let f = fixture();
    let key = key(1);
    f.insert(&key, &record(1, 40));
    assert!(matches!(f.update(&key, 1, &record(2, 40)), Saved::Done));
    let length = HEAD + record(2, 40).encoded_len() as u64;
    for (slot, other) in [(SECOND_SLOT, 1), (FIRST_SLOT, 2)] {
        for offset in slot..slot + length {
            flip(&f.path(&key), offset);
            assert_eq!(
                f.load(&key).unwrap().unwrap(),
                record(other, 40),
                "at {offset}"
            );
            flip(&f.path(&key), offset);
        }
    }
    // Writing goes on from what is left, over what is torn.
    flip(&f.path(&key), SECOND_SLOT + HEAD);
    assert!(matches!(
        f.update(&key, 2, &record(3, 40)),
        Saved::Conflict(Some(_))
    ));
    assert!(matches!(f.update(&key, 1, &record(3, 40)), Saved::Done));
    assert_eq!(f.load(&key).unwrap().unwrap(), record(3, 40));
}

#[test]
fn a_damaged_file_is_an_error_and_is_left_as_it_is() {
    let f = fixture();
    let key = key(1);
    f.insert(&key, &record(1, 300));
    let whole = fs::read(f.path(&key)).unwrap();
    for offset in 0..whole.len() as u64 {
        flip(&f.path(&key), offset);
        // The header in front is not needed to read a record, only to tell what this is.
        match f.load(&key) {
            Ok(found) => assert!(
                offset < FIRST_SLOT && found == Some(record(1, 300)),
                "at {offset}"
            ),
            Err(error) if offset == 15 => assert_eq!(error.kind(), ErrorKind::NewerFormat),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "at {offset}"),
        }
        flip(&f.path(&key), offset);
    }
    for offset in [15, FIRST_SLOT] {
        flip(&f.path(&key), offset);
        let damaged = fs::read(f.path(&key)).unwrap();
        for expect in [Expect::Absent, at(1)] {
            let kind = save(&f.store, &key, expect, &record(2, 1))
                .unwrap_err()
                .kind();
            assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::NewerFormat));
        }
        assert_eq!(fs::read(f.path(&key)).unwrap(), damaged);
        flip(&f.path(&key), offset);
    }
    // Cut short at any place, as a killed first write leaves it: nothing is made up.
    for length in 0..whole.len() {
        fs::write(f.path(&key), &whole[..length]).unwrap();
        match f.load(&key) {
            Ok(found) => assert!(found.is_none(), "at {length}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "at {length}"),
        }
    }
    // A file under another session's name is not that session.
    fs::write(f.path(&key), &whole).unwrap();
    fs::create_dir_all(f.path(&self::key(2)).parent().unwrap()).unwrap();
    fs::copy(f.path(&key), f.path(&self::key(2))).unwrap();
    assert_eq!(
        f.load(&self::key(2)).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn a_failure_is_an_error_with_its_source_never_nothing() {
    let f = fixture();
    fs::create_dir_all(f.path(&key(1))).unwrap();
    let error = f.load(&key(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(std::error::Error::source(&error).is_some());
    assert!(error.to_string().contains("files_path"), "{error}");
    assert!(!error.to_string().contains(&key(1).hex()), "{error}");
    let error = save(&f.store, &key(1), Expect::Absent, &record(1, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);

    fs::remove_dir_all(&f.root).unwrap();
    assert_eq!(f.load(&key(2)).unwrap_err().kind(), ErrorKind::Store);
    let error = save(&f.store, &key(2), Expect::Absent, &record(1, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
}

#[test]
fn a_full_disk_is_an_error_and_keeps_what_there_was() {
    const TEST: &str = "a_full_disk_is_an_error_and_keeps_what_there_was";
    if let Some((_, store)) = child_role() {
        for (id, expect, size) in [(1, at(1), 20_000), (2, Expect::Absent, 3000)] {
            let error = save(&store, &key(id), expect, &record(2, size)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Store);
            assert!(std::error::Error::source(&error).is_some());
        }
        let saved = save(&store, &key(2), Expect::Absent, &record(1, 300)).unwrap();
        return assert!(matches!(saved, Saved::Done), "{saved:?}");
    }
    let f = fixture();
    f.insert(&key(1), &record(1, 300));
    assert!(child_on_a_full_disk(TEST, true, &f.root));
    assert_eq!(f.load(&key(1)).unwrap(), Some(record(1, 300)));
    assert_eq!(f.load(&key(2)).unwrap(), Some(record(1, 300)));
}

#[test]
fn a_replacement_that_dies_while_it_writes_the_new_session_leaves_the_old_one() {
    const TEST: &str = "a_replacement_that_dies_while_it_writes_the_new_session_leaves_the_old_one";
    if let Some((_, store)) = child_role() {
        replace(&store, &key(1), 1, &key(2), &record(2, 20_000), true);
        return;
    }
    let f = fixture();
    f.insert(&key(1), &record(1, 300));
    assert!(!child_on_a_full_disk(TEST, false, &f.root));
    assert_eq!(f.load(&key(1)).unwrap(), Some(record(1, 300)));
}

#[test]
fn a_folder_that_cannot_be_is_an_error_that_names_setting_and_path() {
    let f = fixture();
    let file = f.root.join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = FileStore::open(&path).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.to_string();
        assert!(
            message.contains("files_path") && message.contains(path.to_str().unwrap()),
            "{message}"
        );
    }
}

#[test]
fn only_this_user_can_look_inside() {
    let f = fixture();
    f.insert(&key(1), &record(1, 300));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&f.path(&key(1))), 0o600);
    let folders = f.path(&key(1));
    let sub_root_and_parent: Vec<_> = folders.ancestors().skip(1).take(3).map(mode).collect();
    assert_eq!(sub_root_and_parent, [0o700; 3]);
}

#[test]
fn touch_moves_the_expiry_of_what_lives_and_nothing_else() {
    let f = fixture();
    let later = NOW.after(Duration::from_secs(9000));
    let touch = |id, expires, now| wait(|| f.store.touch(&key(id), expires, now)).unwrap();
    f.insert(&key(1), &record(1, 300));
    touch(1, later, NOW);
    assert_eq!(f.load(&key(1)).unwrap().unwrap(), expiring(1, later));
    touch(1, later.after(Duration::from_secs(1)), later);
    assert_eq!(
        f.load(&key(1)).unwrap().unwrap(),
        expiring(1, later),
        "the dead stay dead"
    );
    let marker = Record::new(
        Kind::Destroyed,
        Revision::from_u64(2),
        NOW.after(Duration::from_secs(10)),
        Vec::new(),
    );
    assert!(matches!(f.update(&key(1), 1, &marker), Saved::Done));
    touch(1, later, NOW);
    assert_eq!(f.load(&key(1)).unwrap().unwrap(), marker);
    touch(2, later, NOW);
    assert!(!f.path(&key(2)).exists());
    // So long that it is read on another thread.
    f.insert(&key(3), &record(1, 200_000));
    touch(3, later, NOW);
    assert_eq!(f.load(&key(3)).unwrap().unwrap().expires, later);
}

#[test]
fn replacing_is_all_or_nothing_in_either_order_of_the_hashes() {
    let f = fixture();
    let mut keys = [key(1), key(2)];
    keys.sort_by_key(|key| *key.hash());
    for (old, new) in [(keys[0], keys[1]), (keys[1], keys[0])] {
        let saved = replace(&f.store, &old, 1, &new, &record(2, 300), true);
        assert!(matches!(saved, Saved::Conflict(None)), "{saved:?}");
        f.insert(&old, &record(1, 300));
        let saved = replace(&f.store, &old, 7, &new, &record(2, 300), true);
        assert!(
            matches!(&saved, Saved::Conflict(Some(there)) if *there == record(1, 300)),
            "{saved:?}"
        );
        assert!(!f.path(&new).exists());
        assert!(matches!(
            replace(&f.store, &old, 1, &new, &record(2, 300), true),
            Saved::Done
        ));
        assert_eq!(f.load(&new).unwrap().unwrap(), record(2, 300));
        assert_eq!(f.load(&old).unwrap().unwrap().kind, Kind::Regenerated(new));
        keys.iter()
            .for_each(|key| fs::remove_file(f.path(key)).unwrap());
    }
}

#[test]
fn two_replacements_that_cross_do_not_wait_for_each_other() {
    let f = fixture();
    for _ in 0..200 {
        f.insert(&key(1), &record(1, 300));
        f.insert(&key(2), &record(1, 300));
        thread::scope(|scope| {
            for (old, new) in [(1, 2), (2, 1)] {
                let store = &f.store;
                scope.spawn(move || {
                    let saved = replace(store, &key(old), 1, &key(new), &record(2, 300), false);
                    assert!(matches!(saved, Saved::Conflict(Some(_))), "{saved:?}");
                });
            }
        });
        for id in [1, 2] {
            fs::remove_file(f.path(&key(id))).unwrap();
        }
    }
}

#[tokio::test]
async fn a_lock_that_is_held_elsewhere_does_not_hold_up_the_executor() {
    let f = fixture();
    let (key, store) = (key(1), f.store.clone());
    let write = |revision| Write::new(record(revision, 300), NOW);
    store.save(&key, Expect::Absent, write(1)).await.unwrap();
    let elsewhere = File::open(f.path(&key)).unwrap();
    elsewhere.lock().unwrap();
    let mut saving = store.save(&key, at(1), write(2));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut saving).await;
    assert!(early.is_err(), "saved without the lock");
    assert_eq!(
        store.load(At::Key(&key)).await.unwrap().unwrap(),
        record(1, 300)
    );
    elsewhere.unlock().unwrap();
    assert!(matches!(saving.await.unwrap(), Saved::Done));
    assert_eq!(
        store.load(At::Key(&key)).await.unwrap().unwrap(),
        record(2, 300)
    );
}

#[tokio::test]
async fn a_reader_who_sees_a_write_in_progress_waits_for_its_end() {
    let f = fixture();
    let (key, store) = (key(1), f.store.clone());
    for (revision, expect) in [(1, Expect::Absent), (2, at(1))] {
        let write = Write::new(record(revision, 300), NOW);
        store.save(&key, expect, write).await.unwrap();
    }
    let writer = File::open(f.path(&key)).unwrap();
    writer.lock().unwrap();
    flip(&f.path(&key), SECOND_SLOT + HEAD);
    let mut loading = store.load(At::Key(&key));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut loading).await;
    assert!(early.is_err(), "answered what may be outdated: {early:?}");
    flip(&f.path(&key), SECOND_SLOT + HEAD);
    writer.unlock().unwrap();
    assert_eq!(loading.await.unwrap().unwrap(), record(2, 300));
}

#[test]
fn the_sweep_is_bounded_and_takes_only_what_has_expired() {
    let f = fixture();
    let sweep = |max| wait(|| f.store.sweep(NOW, max)).unwrap();
    for id in 0..60 {
        let expires = if id % 2 == 0 {
            NOW
        } else {
            NOW.after(Duration::from_millis(1))
        };
        f.insert(&key(id), &expiring(1, expires));
    }
    assert_eq!(sweep(0), 0);
    assert_eq!([sweep(12), sweep(12), sweep(12), sweep(12)], [12, 12, 6, 0]);
    for id in 0..60 {
        assert_eq!(f.load(&key(id)).unwrap().is_some(), id % 2 == 1);
    }
    // Whatever came behind the place where it stopped is found in the same round.
    for id in 100..160 {
        f.insert(&key(id), &expiring(1, NOW));
    }
    assert_eq!(sweep(30), 30);
    for id in 200..260 {
        f.insert(&key(id), &expiring(1, NOW));
    }
    assert_eq!(sweep(1000), 90);
}

#[test]
fn the_sweep_leaves_alone_what_is_not_ours_or_might_live() {
    let f = fixture();
    let late = NOW.after(Duration::from_secs(30 * 86_400));
    f.insert(&key(1), &expiring(1, late.after(Duration::from_secs(1))));
    let file = f.path(&key(1));
    let (folder, name) = (
        file.parent().unwrap(),
        file.file_name().unwrap().to_str().unwrap(),
    );
    let other = format!(
        "{}{}",
        &name[..63],
        if name.ends_with('0') { '1' } else { '0' }
    );
    let strangers = [
        f.root.join(".gitignore"),
        f.root.join("notes"),
        f.root.join(name),
        folder.join(".hidden"),
        folder.join(format!(".{name}")),
        folder.join(format!("{name}.tmp")),
        folder.join(&name[..63]),
        folder.join(name.to_uppercase()),
        folder.join(format!("{}{}", "0f", &name[2..])),
    ];
    let old = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.as_millis());
    for stranger in &strangers {
        fs::write(stranger, "").unwrap();
        File::options()
            .write(true)
            .open(stranger)
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    // Of ours: one of a newer format, and one that is damaged.
    f.insert(&key(2), &expiring(1, NOW));
    flip(&f.path(&key(2)), 15);
    fs::write(folder.join(&other), "damaged").unwrap();
    let set_age = |path: &Path| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(old)
            .unwrap()
    };
    set_age(&f.path(&key(2)));
    set_age(&folder.join(&other));

    let sweep = |now| wait(|| f.store.sweep(now, 1000));
    assert_eq!(
        sweep(NOW.after(Duration::from_secs(6 * 86_400))).unwrap(),
        0
    );
    assert_eq!(sweep(late).unwrap(), 1, "the damaged one, after a week");
    assert!(!folder.join(&other).exists());
    assert!(strangers.iter().all(|stranger| stranger.exists()));
    assert!(f.path(&key(1)).exists() && f.path(&key(2)).exists());
}

#[test]
fn a_file_that_fails_does_not_keep_the_others_from_being_swept() {
    let f = fixture();
    for id in 0..20 {
        f.insert(&key(id), &expiring(1, NOW));
    }
    fs::create_dir_all(f.path(&key(100))).unwrap();
    let error = wait(|| f.store.sweep(NOW, 1000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!((0..20).all(|id| !f.path(&key(id)).exists()));
}

#[test]
fn a_sweep_never_takes_what_a_writer_has_just_prolonged() {
    let f = fixture();
    let (mut kept, mut swept) = (0, 0);
    let later = NOW.after(Duration::from_secs(1));
    for id in 0..150 {
        f.insert(&key(id), &expiring(1, NOW));
        let start = Arc::new(std::sync::Barrier::new(2));
        let saved = thread::scope(|scope| {
            let (store, sweeper_start) = (f.store.clone(), start.clone());
            scope.spawn(move || {
                sweeper_start.wait();
                wait(|| store.sweep(NOW, 10)).unwrap();
            });
            start.wait();
            // The sweep walks through 256 sub-folders; meet it at different places.
            thread::sleep(Duration::from_micros(id * 10));
            f.update(&key(id), 1, &expiring(2, later))
        });
        match saved {
            Saved::Done => {
                kept += 1;
                assert_eq!(f.load(&key(id)).unwrap(), Some(expiring(2, later)));
            }
            Saved::Conflict(None) => swept += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        kept > 0 && swept > 0,
        "they never met: {kept} kept, {swept} swept"
    );
}
