//! What a message costs in a group of 250.

use std::time::Instant;

use super::*;

const MEMBERS: usize = 250;
/// The budget of design.md 3.3.
const MESSAGE_BUDGET: usize = 16 * 1024;

/// A client whose inbox is told by a number.
fn numbered(number: usize) -> Client {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
    let inbox = InboxId::parse(&format!("{number:064x}")).unwrap();
    let key = InstallationKey::from_seed(&seed);
    let key_package = OwnKeyPackage::generate(inbox.as_str(), &key, lifetime_at(now())).unwrap();
    Client {
        inbox,
        key,
        key_package,
        group: None,
    }
}

/// Bytes of rows that would be written now; they count as written afterwards.
fn save(client: &mut Client) -> usize {
    let view = client.group().view();
    let size = |(key, value): &RowChange| key.len() + value.as_ref().map_or(0, |v| v.len());
    let written = view.changes().iter().map(size).sum();
    view.mark_saved();
    assert!(view.changes().is_empty());
    written
}

#[test]
fn a_message_among_250_members_writes_less_than_the_budget() {
    let mut logs = Logs::default();
    let mut clients: Vec<Client> = (0..MEMBERS).map(numbered).collect();
    for client in &clients {
        logs.set(client.inbox.as_str(), &[client.id()]);
    }
    let (creator, others) = clients.split_first_mut().unwrap();
    creator.create(Preset::AllMembers.policies());
    let all: Vec<&Client> = others.iter().map(|client: &Client| client).collect();
    let mut members = membership(&logs, &all);
    members
        .members
        .insert(creator.name(), logs.latest(creator.inbox.as_str()));
    let change = Change {
        add: others.iter().map(Client::verified).collect(),
        membership: Some(members),
        ..Change::default()
    };
    let (commit, _) = creator.commit(change, &logs);
    let welcome = commit.welcome.unwrap();
    println!(
        "commit adding all: {} bytes, inner Welcome {} bytes",
        commit.bytes.len(),
        welcome.len()
    );

    // A reader and some who write; the rest never come online.
    let (reader, writers) = others[..24].split_first_mut().unwrap();
    reader.join(&welcome, &logs);
    println!("rows after joining: {} bytes", save(reader));
    for writer in writers.iter_mut() {
        writer.join(&welcome, &logs);
    }
    save(creator);

    let mut worst = 0;
    for round in 0..4 {
        let (mut times, mut sizes) = (Vec::new(), Vec::new());
        for writer in writers.iter_mut() {
            for _ in 0..2 {
                let data = writer.group().encrypt(b"hello").unwrap();
                let start = Instant::now();
                reader.read(&data, &logs);
                times.push(start.elapsed());
                sizes.push(save(reader));
            }
        }
        worst = worst.max(sizes.iter().copied().max().unwrap_or(0));
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        times.sort_unstable();
        println!("round {round}: reading a message writes {mean} bytes on average");
        println!(
            "round {round}: and takes {:?} at best, {:?} mostly",
            times[0],
            times[times.len() / 2]
        );

        let start = Instant::now();
        let data = creator.group().encrypt(b"hello").unwrap();
        let time = start.elapsed();
        let written = save(creator);
        worst = worst.max(written);
        println!("round {round}: sending a message writes {written} bytes, takes {time:?}");
        reader.read(&data, &logs);

        // A key update ends the epoch, so that past epochs fill up.
        let commit = creator.group().stage_commit(Change::default()).unwrap();
        let staged = save(creator);
        creator.merge_pending(&logs);
        let merged = save(creator);
        let start = Instant::now();
        let incoming = reader.process(&commit.bytes, &logs);
        let time = start.elapsed();
        assert!(matches!(incoming, Incoming::Commit(_)), "{incoming:?}");
        println!(
            "round {round}: a commit of {} bytes: staged {staged}, merged {merged}, \
             processed {} bytes in {time:?}",
            commit.bytes.len(),
            save(reader)
        );
        for writer in writers.iter_mut() {
            assert!(matches!(
                writer.process(&commit.bytes, &logs),
                Incoming::Commit(_)
            ));
        }
    }
    let start = Instant::now();
    reader.reload();
    println!("laying out and loading takes {:?}", start.elapsed());
    println!("worst message: {worst} bytes");
    assert!(
        worst < MESSAGE_BUDGET,
        "{worst} bytes written for one message"
    );
}
