use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Claims, Grant, KeyRepository, MAX_ACTIVE_KEYS, Method, Receipt, Scope, TokenError, Tokens};

fn claims() -> Claims {
    Claims {
        user_id: "0123456789abcdef0123456789abcdef".into(),
        scope: Scope::Project("fedcba9876543210fedcba9876543210".into()),
        grant: Grant::Own,
        methods: vec![Method::Password, Method::Token],
        issued_at_us: 1_000_000,
        expires_at_us: 2_000_000,
        audit_ids: vec!["YWJjZGVmZ2hpamtsbW5vcA".into(), "cXJzdHV2d3h5ejAxMjM0NQ".into()],
    }
}

fn tokens(directory: &std::path::Path) -> Tokens {
    Tokens::new(KeyRepository::open_or_create(directory).unwrap()).unwrap()
}

#[test]
fn a_token_gives_back_its_claims_until_it_expires() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = tokens(directory.path());
    let token = tokens.issue(&claims());
    assert!(token.len() < 300, "{} bytes", token.len());
    assert_eq!(tokens.verify(&token, 1_999_999), Ok(claims()));
    assert_eq!(tokens.verify(&token, 2_000_000), Err(TokenError::Expired));
}

#[test]
fn every_scope_survives_the_round_trip() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = tokens(directory.path());
    for scope in [Scope::Unscoped, Scope::Domain("default".into()), Scope::Project("p".into())] {
        let claims = Claims { scope, ..claims() };
        assert_eq!(tokens.verify(&tokens.issue(&claims), 0), Ok(claims));
    }
}

#[test]
fn a_changed_token_and_another_clouds_token_are_refused() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tokens_here = tokens(here.path());
    let token = tokens_here.issue(&claims());
    assert_eq!(tokens(there.path()).verify(&token, 0), Err(TokenError::Foreign));
    for position in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // The last character before the padding carries bits that base64 may ignore.
        if let Ok(same) = tokens_here.verify(&changed, 0) {
            assert_eq!(same, claims());
        }
    }
    for junk in ["", "gAAAA", "\u{fe0f}", &"A".repeat(100_000)] {
        assert_eq!(tokens_here.verify(junk, 0), Err(TokenError::Foreign));
    }
}

#[test]
fn claims_cut_short_are_malformed_not_a_panic() {
    let whole = claims().encode();
    for length in 0..whole.len() {
        let shorter = Claims::decode(&whole[..length]);
        assert!(shorter.is_none_or(|claims| claims.audit_ids.len() == 1), "{length}");
    }
    assert!(Claims::decode(&[whole.as_slice(), b"x"].concat()).is_none());
}

#[test]
fn tokens_outlive_rotations_until_their_key_goes() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = tokens(directory.path());
    let token = tokens.issue(&claims());
    for _ in 0..MAX_ACTIVE_KEYS - 2 {
        tokens.rotate(MAX_ACTIVE_KEYS).unwrap();
        assert!(tokens.verify(&token, 0).is_ok());
    }
    tokens.rotate(MAX_ACTIVE_KEYS).unwrap();
    assert_eq!(tokens.verify(&token, 0), Err(TokenError::Foreign));
    assert_eq!(key_files(directory.path()), MAX_ACTIVE_KEYS);
}

#[test]
fn the_staged_key_of_one_process_is_the_primary_that_another_rotates_to() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (tokens(directory.path()), tokens(directory.path()));
    one.rotate(MAX_ACTIVE_KEYS).unwrap();
    assert!(other.verify(&one.issue(&claims()), 0).is_ok(), "no reload was needed");
}

#[test]
fn keys_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("keys");
    tokens(&repository);
    assert_eq!(fs::metadata(&repository).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&repository).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

fn key_files(directory: &std::path::Path) -> usize {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().parse::<u64>().is_ok()).count()
}

#[test]
fn a_rotation_is_due_once_for_all_processes() {
    let directory = tempfile::tempdir().unwrap();
    let processes: Vec<Tokens> = (0..4).map(|_| tokens(directory.path())).collect();
    let hour = std::time::Duration::from_secs(3600);
    assert!(!processes[0].rotate_if_due(hour, 5).unwrap(), "the keys are fresh");
    let two_hours_ago = std::time::SystemTime::now() - 2 * hour;
    fs::File::options()
        .write(true)
        .open(directory.path().join("0"))
        .unwrap()
        .set_modified(two_hours_ago)
        .unwrap();
    let rotated: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            processes.iter().map(|tokens| scope.spawn(|| tokens.rotate_if_due(hour, 5).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(rotated.iter().filter(|rotated| **rotated).count(), 1, "{rotated:?}");
    assert_eq!(key_files(directory.path()), 3);
}

/// THREATS A4-25: keys are rotated under load, and no token of any process is refused by any other.
#[test]
fn threats_a4_25_no_token_is_refused_while_keys_rotate() {
    const ROTATIONS: usize = 40;
    const KEPT: usize = ROTATIONS + 2;
    let directory = tempfile::tempdir().unwrap();
    let processes = [tokens(directory.path()), tokens(directory.path())];
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let (sender, receiver) = std::sync::mpsc::channel();
    let checked = std::thread::scope(|scope| {
        for tokens in &processes {
            let (sender, is_over) = (sender.clone(), &is_over);
            scope.spawn(move || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let token = tokens.issue(&claims());
                    assert!(tokens.verify(&token, 0).is_ok());
                    let _ = sender.send(token);
                }
            });
        }
        drop(sender);
        let verifier = scope.spawn(|| {
            let mut checked = 0_u64;
            for token in receiver {
                for tokens in &processes {
                    assert_eq!(tokens.verify(&token, 0), Ok(claims()), "after {checked} others");
                }
                checked += 1;
            }
            checked
        });
        for rotation in 0..ROTATIONS {
            processes[rotation % 2].rotate(KEPT).unwrap();
            // As the loop of each controller does, once a second.
            processes[(rotation + 1) % 2].reload_if_changed().unwrap();
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        verifier.join().unwrap()
    });
    assert!(checked > 0);
    assert_eq!(key_files(directory.path()), KEPT);
}

#[test]
fn a_token_of_a_key_that_another_process_has_just_made_is_known_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (tokens(directory.path()), tokens(directory.path()));
    one.rotate(5).unwrap();
    one.rotate(5).unwrap();
    assert!(
        other.verify(&one.issue(&claims()), 0).is_ok(),
        "its key was never staged while the other looked"
    );
}

#[test]
fn a_receipt_gives_back_its_content_and_is_no_token() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tokens_here = tokens(here.path());
    let content = Receipt {
        user_id: "0123456789abcdef0123456789abcdef".into(),
        methods: vec![Method::Password, Method::Totp],
        issued_at_us: 1_000_000,
        expires_at_us: 2_000_000,
    };
    let receipt = tokens_here.issue_receipt(&content);
    assert_eq!(tokens_here.verify_receipt(&receipt, 1_999_999), Ok(content));
    assert_eq!(tokens_here.verify_receipt(&receipt, 2_000_000), Err(TokenError::Expired));
    assert_eq!(tokens_here.verify(&receipt, 0), Err(TokenError::Foreign));
    assert_eq!(tokens_here.verify_receipt(&tokens_here.issue(&claims()), 0), Err(TokenError::Foreign));
    assert_eq!(tokens(there.path()).verify_receipt(&receipt, 0), Err(TokenError::Foreign));
    // Another process knows it, before and after a rotation.
    let other = tokens(here.path());
    tokens_here.rotate(MAX_ACTIVE_KEYS).unwrap();
    assert!(other.verify_receipt(&receipt, 0).is_ok());
    assert!(
        other
            .verify_receipt(&tokens_here.issue_receipt(&tokens_here.verify_receipt(&receipt, 0).unwrap()), 0)
            .is_ok()
    );
}

#[test]
fn a_note_is_read_by_every_process_and_is_nothing_else() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (tokens(here.path()), tokens(here.path()));
    let note = one.seal_note("to be continued");
    assert_eq!(other.open_note(&note), Ok("to be continued".to_owned()));
    assert_eq!(tokens(there.path()).open_note(&note), Err(TokenError::Foreign));
    assert_eq!(
        (one.verify(&note, 0), one.verify_receipt(&note, 0)),
        (Err(TokenError::Foreign), Err(TokenError::Foreign))
    );
    assert_eq!(one.open_note(&one.issue(&claims())), Err(TokenError::Foreign));
    one.rotate(MAX_ACTIVE_KEYS).unwrap();
    assert_eq!(other.open_note(&one.seal_note("again")), Ok("again".to_owned()));
}
