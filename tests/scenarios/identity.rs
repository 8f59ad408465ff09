//! Inboxes with many wallets and installations: registering through every mishap, changing them,
//! and groups that follow.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{join_all, pending};
use sotto::client::registration::WalletSignature;
use sotto::client::testing::{Device, Tab, TestEnv, World};
use sotto::client::{Client, GroupId};
use sotto::identity::{
    EthereumKey, Identifier, InboxId, InstallationId, MemberIdentifier, SignatureRequest,
};
use sotto::net::fake::{Fate, Hook};
use sotto::{Code, Result};
use sotto_proto::paths;

use crate::support::{assert_converged, group, say, sync, texts, try_say};

/// The identity requests that registering makes, in order.
fn requests_of(world: &World, device: &Device) -> Vec<&'static str> {
    let seen: Rc<RefCell<Vec<&'static str>>> = Rc::default();
    let log = Rc::clone(&seen);
    let hook: Hook = Rc::new(move |path| {
        log.borrow_mut().push(path);
        async { Fate::Pass }.boxed_local()
    });
    world.open_with(device, Some(hook)).unwrap();
    seen.take()
        .into_iter()
        .filter(|path| *path != paths::SUBSCRIBE)
        .collect()
}

/// A network on which request `nth` has the given fate, once or, with `for_good`, from then on.
fn misbehaving(nth: usize, fate: Fate, for_good: bool) -> Hook {
    let count = Cell::new(0);
    Rc::new(move |path| {
        let number = count.get();
        if path != paths::SUBSCRIBE {
            count.set(number + 1);
        }
        let hit = number == nth || (for_good && number > nth);
        let fate = if hit { fate.clone() } else { Fate::Pass };
        async move { fate }.boxed_local()
    })
}

/// A network on which the tab dies at request `nth`: before it leaves, or before the answer comes.
fn deadly(nth: usize, arrives: bool, alive: &Rc<Cell<bool>>) -> Hook {
    let (count, alive) = (Cell::new(0), Rc::clone(alive));
    Rc::new(move |path| {
        let number = count.get();
        if path != paths::SUBSCRIBE {
            count.set(number + 1);
        }
        let alive = Rc::clone(&alive);
        async move {
            if number != nth {
                return Fate::Pass;
            }
            alive.set(false);
            if !arrives {
                pending::<()>().await;
            }
            Fate::Hang
        }
        .boxed_local()
    })
}

/// One inbox, one installation, one entry in the log, and it can be used.
fn assert_registered_once(world: &World, tab: &Tab, entries: usize) {
    assert_eq!(world.node.identity_updates(tab.inbox_id()), entries);
    let state = state(world, tab);
    assert_eq!(state.installations().len(), entries);
    assert!(state.contains_installation(&tab.me.installation));
    let friend = world.open(&world.device()).unwrap();
    let id = group(world, &friend, &[tab]);
    say(world, &friend, id, "welcome");
    sync(world, tab);
    assert_eq!(texts(world, tab, id), ["welcome"]);
}

fn state(world: &World, tab: &Tab) -> Rc<sotto::identity::AssociationState> {
    let client = tab.client.clone();
    world
        .run(async move { client.inbox_state(true).await })
        .unwrap()
}

fn sign(world: &World, tab: &Tab, request: SignatureRequest, by: &EthereumKey) -> Result<()> {
    let client = tab.client.clone();
    let identifier = by.identifier();
    let signature = WalletSignature::Eoa(by.sign_personal(request.text()).to_vec());
    world.run(async move {
        let mut request = request;
        client
            .apply_signature(&mut request, &identifier, signature)
            .await
    })
}

fn ask<F>(world: &World, tab: &Tab, build: impl FnOnce(Client<TestEnv>) -> F) -> SignatureRequest
where
    F: Future<Output = Result<SignatureRequest>> + 'static,
{
    world.run(build(tab.client.clone())).unwrap()
}

fn add_account(world: &World, tab: &Tab, wallet: &EthereumKey) -> SignatureRequest {
    let identifier = wallet.identifier();
    ask(world, tab, |client| async move {
        client.request_add_account(&identifier, false).await
    })
}

fn revoke(world: &World, tab: &Tab, installations: &[InstallationId]) -> SignatureRequest {
    let installations = installations.to_vec();
    ask(world, tab, |client| async move {
        client.request_revoke_installations(&installations).await
    })
}

fn change_recovery(world: &World, tab: &Tab, to: Identifier) -> SignatureRequest {
    ask(world, tab, |client| async move {
        client.request_change_recovery(&to).await
    })
}

fn installations_in(world: &World, tab: &Tab, id: GroupId) -> usize {
    let client = tab.client.clone();
    let members = world.run(async move { client.members(id).await }).unwrap();
    members
        .iter()
        .map(|member| member.installations.len())
        .sum()
}

#[test]
fn a_registration_survives_the_loss_of_any_request_or_answer() {
    let world = World::new(100);
    let steps = requests_of(&world, &world.device());
    assert!(steps.contains(&paths::PUBLISH_IDENTITY_UPDATE));
    for (nth, step) in steps.iter().enumerate() {
        for fate in [Fate::LoseRequest, Fate::LoseAnswer] {
            // Lost once: nobody notices.
            let device = world.device();
            let hook = misbehaving(nth, fate.clone(), false);
            let tab = world.open_with(&device, Some(hook)).unwrap();
            assert_registered_once(&world, &tab, 1);

            // Lost from there on: an error, and the next start finishes.
            let device = world.device();
            let hook = misbehaving(nth, fate.clone(), true);
            let Err(error) = world.open_with(&device, Some(hook)).map(drop) else {
                panic!("request {nth} was lost and not missed")
            };
            assert_eq!(error.code(), Code::Network, "at {}", step);
            let tab = world.open(&device).unwrap();
            assert_registered_once(&world, &tab, 1);
            assert_eq!(device.prompts.get(), 1, "at {} {fate:?}", step);
        }
    }
}

#[test]
fn a_registration_killed_at_any_step_is_finished_by_the_next_start_and_never_doubled() {
    let world = World::new(101);
    let first = world.device();
    let fresh = requests_of(&world, &first);
    let second = requests_of(&world, &world.device_of(&first.wallet));
    assert!(second.len() > fresh.len());
    for (steps, existing) in [(fresh, false), (second, true)] {
        for (nth, step) in steps.iter().enumerate() {
            for arrives in [false, true] {
                let mut device = world.device();
                let entries = if existing {
                    world.open(&device).unwrap();
                    device = world.device_of(&device.wallet);
                    2
                } else {
                    1
                };
                let alive = Rc::new(Cell::new(true));
                let hook = deadly(nth, arrives, &alive);
                let opened = world.run(world.opening(&device, Some(hook), alive));
                assert!(opened.is_none(), "killed at {}", step);
                let tab = world.open(&device).unwrap();
                assert_registered_once(&world, &tab, entries);
                // Once signed, never asked again.
                let asked = device.prompts.get();
                assert_eq!(asked, 1, "at {} {arrives}", step);
            }
        }
    }
}

#[test]
fn a_refused_registration_begins_anew_with_the_next_start() {
    let world = World::new(102);
    let device = world.device();
    let steps = requests_of(&world, &world.device());
    let publish = steps
        .iter()
        .position(|path| *path == paths::PUBLISH_IDENTITY_UPDATE)
        .unwrap();
    // Killed before publishing; then another device creates the inbox.
    let alive = Rc::new(Cell::new(true));
    let hook = deadly(publish, false, &alive);
    assert!(
        world
            .run(world.opening(&device, Some(hook), alive))
            .is_none()
    );
    let other = world.open(&world.device_of(&device.wallet)).unwrap();
    // The stored update would create it a second time. It is given up, not sent for ever.
    let tab = world.open(&device).unwrap();
    assert_eq!(tab.inbox_id(), other.inbox_id());
    assert_eq!(device.prompts.get(), 2);
    assert_registered_once(&world, &tab, 2);
}

#[test]
fn a_prompt_left_open_is_not_answered_for_an_inbox_that_exists_by_now() {
    let world = World::new(103);
    let mut device = world.device();
    let wallet = Rc::clone(&device.wallet);
    device.signer = world.wallet();
    let error = world.open(&device).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::SignerMismatch);
    assert_eq!(device.prompts.get(), 1);
    let other = world.open(&world.device_of(&wallet)).unwrap();
    assert_eq!(world.node.identity_updates(other.inbox_id()), 1);
    device.signer = wallet;
    let tab = world.open(&device).unwrap();
    assert_eq!(tab.inbox_id(), other.inbox_id());
    assert_registered_once(&world, &tab, 2);
}

#[test]
fn several_tabs_at_once_make_one_installation_with_one_signature() {
    let world = World::new(104);
    let device = world.device();
    let openings: Vec<_> = (0..5)
        .map(|_| world.opening(&device, None, Rc::new(Cell::new(true))))
        .collect();
    let tabs: Vec<Tab> = world
        .run(join_all(openings))
        .into_iter()
        .map(|opened| opened.unwrap().unwrap())
        .collect();
    assert_eq!(device.prompts.get(), 1);
    for tab in &tabs {
        assert_eq!(tab.me.installation, tabs[0].me.installation);
    }
    assert_registered_once(&world, &tabs[0], 1);
}

#[test]
fn a_tab_that_dies_while_the_wallet_thinks_leaves_the_prompt_to_the_next() {
    let world = World::new(105);
    let device = world.device();
    let alive = Rc::new(Cell::new(true));
    let dying = world.opening(&device, None, Rc::clone(&alive));
    let clock = world.clock.clone();
    let waiting = world.opening(&device, None, Rc::new(Cell::new(true)));
    let watch = {
        let prompts = Rc::clone(&device.prompts);
        let sleep = world.sleep(Duration::from_secs(1));
        async move {
            sleep.await;
            assert_eq!(prompts.get(), 1, "one prompt at a time");
            alive.set(false);
        }
    };
    let (dead, tab, ()) = world.run(async { futures::join!(dying, waiting, watch) });
    assert!(dead.is_none());
    let tab = tab.unwrap().unwrap();
    assert_eq!(device.prompts.get(), 2);
    assert!(clock.now_ns() > 0);
    assert_registered_once(&world, &tab, 1);
}

#[test]
fn the_eleventh_installation_is_refused_with_the_list_and_a_revocation_makes_room() {
    let world = World::new(106);
    let first = world.device();
    let tabs: Vec<Tab> = (0..10)
        .map(|number| match number {
            0 => world.open(&first).unwrap(),
            _ => world.open(&world.device_of(&first.wallet)).unwrap(),
        })
        .collect();
    let eleventh = world.device_of(&first.wallet);
    let error = world.open(&eleventh).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::TooManyInstallations);
    assert_eq!(
        eleventh.prompts.get(),
        0,
        "refused before the wallet is asked"
    );
    let detail = |name: &str| {
        let (_, value) = error.details().iter().find(|(key, _)| *key == name)?;
        Some(value.clone())
    };
    let listed: Vec<String> = detail("installationIds")
        .unwrap()
        .split(',')
        .map(str::to_owned)
        .collect();
    assert_eq!(listed.len(), 10);
    for tab in &tabs {
        assert!(listed.contains(&tab.me.installation.to_hex()));
    }
    assert_eq!(detail("inboxId").unwrap(), tabs[0].inbox_id());

    // With nothing but what the error says, and the wallet.
    let mut request = SignatureRequest::revoke(
        &InboxId::parse(&detail("inboxId").unwrap()).unwrap(),
        &first.wallet.identifier(),
        [MemberIdentifier::from(tabs[3].me.installation)],
        world.clock.now_ns(),
    );
    let signature = first.wallet.sign_personal(request.text());
    request.add_wallet_signature(&signature).unwrap();
    let api = Rc::clone(&tabs[0].api);
    let update = request.finish().unwrap();
    world
        .run(async move { api.publish_identity_update(update).await })
        .unwrap();
    let tab = world.open(&eleventh).unwrap();
    assert_eq!(eleventh.prompts.get(), 1);
    let installations = state(&world, &tab).installations();
    assert_eq!(installations.len(), 10);
    assert!(!installations.contains(&tabs[3].me.installation));
}

#[test]
fn groups_follow_a_member_to_new_installations_and_away_from_revoked_ones() {
    let world = World::new(107);
    let phone = world.device();
    let (a, b) = (
        world.open(&world.device()).unwrap(),
        world.open(&phone).unwrap(),
    );
    let id = group(&world, &a, &[&b]);
    say(&world, &a, id, "one");
    sync(&world, &b);

    let laptop = world.open(&world.device_of(&phone.wallet)).unwrap();
    assert_eq!(laptop.inbox_id(), b.inbox_id());
    world.pass(Duration::from_secs(10));
    // It is not a device of hers that notices first.
    say(&world, &a, id, "two");
    for tab in [&a, &b, &laptop] {
        sync(&world, tab);
    }
    assert_eq!(installations_in(&world, &a, id), 3);
    assert_eq!(texts(&world, &laptop, id), ["two"]);
    assert_converged(&world, &[&a, &b, &laptop], id);

    let request = revoke(&world, &laptop, &[b.me.installation]);
    sign(&world, &laptop, request, &phone.wallet).unwrap();
    world.pass(Duration::from_secs(10));
    say(&world, &a, id, "three");
    sync(&world, &laptop);
    assert_eq!(texts(&world, &laptop, id), ["two", "three"]);
    assert_eq!(installations_in(&world, &a, id), 2);
    assert_converged(&world, &[&a, &laptop], id);

    // The revoked device reads nothing that follows, and cannot write.
    let client = b.client.clone();
    let _ = world.run(async move { client.sync_all(None, None).await });
    say(&world, &a, id, "four");
    let client = b.client.clone();
    let _ = world.run(async move { client.sync_all(None, None).await });
    assert_eq!(texts(&world, &b, id), ["one", "two"]);
    assert!(try_say(&world, &b, id, "still here?").is_err());
    sync(&world, &a);
    assert_eq!(texts(&world, &a, id), ["one", "two", "three", "four"]);
}

#[test]
fn an_added_wallet_registers_into_the_same_inbox() {
    let world = World::new(108);
    let a = world.open(&world.device()).unwrap();
    let wallet = world.wallet();
    let request = add_account(&world, &a, &wallet);
    sign(&world, &a, request, &wallet).unwrap();
    assert!(state(&world, &a).contains(&MemberIdentifier::from(wallet.identifier())));
    let tab = world.open(&world.device_of(&wallet)).unwrap();
    assert_eq!(tab.inbox_id(), a.inbox_id());
    assert_eq!(state(&world, &tab).installations().len(), 2);
    // A wallet that has an inbox is not taken from it by accident.
    let taken = world.open(&world.device()).unwrap();
    let client = taken.client.clone();
    let identifier = wallet.identifier();
    let error = world
        .run(async move { client.request_add_account(&identifier, false).await })
        .unwrap_err();
    assert_eq!(error.code(), Code::IdentifierTaken);
}

#[test]
fn a_stranger_s_signature_is_refused_and_nothing_is_published() {
    let world = World::new(109);
    let device = world.device();
    let a = world.open(&device).unwrap();
    let (wallet, stranger) = (world.wallet(), world.wallet());
    let adding = add_account(&world, &a, &wallet);
    let revoking = revoke(&world, &a, &[a.me.installation]);
    for request in [adding, revoking] {
        let error = sign(&world, &a, request, &stranger).unwrap_err();
        assert_eq!(error.code(), Code::SignerMismatch);
    }
    assert_eq!(world.node.identity_updates(a.inbox_id()), 1);
}

#[test]
fn a_changed_recovery_identifier_takes_the_say_from_the_old_one() {
    let world = World::new(110);
    let device = world.device();
    let a = world.open(&device).unwrap();
    let other = world.open(&world.device_of(&device.wallet)).unwrap();
    let recovery = world.wallet();
    // Asked for before the change, signed after it: the log has moved on.
    let stale = revoke(&world, &other, &[a.me.installation]);
    let request = change_recovery(&world, &a, recovery.identifier());
    sign(&world, &a, request, &device.wallet).unwrap();
    let updates = world.node.identity_updates(a.inbox_id());

    let request = revoke(&world, &a, &[other.me.installation]);
    let error = sign(&world, &a, request, &device.wallet).unwrap_err();
    assert_eq!(error.code(), Code::SignerMismatch);
    assert!(sign(&world, &other, stale, &device.wallet).is_err());
    assert_eq!(world.node.identity_updates(a.inbox_id()), updates);

    let request = revoke(&world, &a, &[other.me.installation]);
    sign(&world, &a, request, &recovery).unwrap();
    assert!(!state(&world, &a).contains_installation(&other.me.installation));
}

#[test]
fn updates_of_two_devices_at_once_both_count() {
    let world = World::new(111);
    let device = world.device();
    let (a, b) = (
        world.open(&device).unwrap(),
        world.open(&world.device_of(&device.wallet)).unwrap(),
    );
    let wallets = [world.wallet(), world.wallet()];
    let work: Vec<_> = [&a, &b]
        .into_iter()
        .zip(&wallets)
        .map(|(tab, wallet)| {
            let mut request = add_account(&world, tab, wallet);
            let (client, wallet) = (tab.client.clone(), Rc::clone(wallet));
            async move {
                let signature = wallet.sign_personal(request.text()).to_vec();
                let signature = WalletSignature::Eoa(signature);
                client
                    .apply_signature(&mut request, &wallet.identifier(), signature)
                    .await
            }
        })
        .collect();
    for done in world.run(join_all(work)) {
        done.unwrap();
    }
    for tab in [&a, &b] {
        let state = state(&world, tab);
        for wallet in &wallets {
            assert!(state.contains(&MemberIdentifier::from(wallet.identifier())));
        }
    }
}

#[test]
fn an_update_whose_answer_was_lost_counts() {
    let world = World::new(112);
    let device = world.device();
    world.open(&device).unwrap().kill();
    // Every answer to a publish is lost; the log tells.
    let hook: Hook = Rc::new(|path| {
        let lost = path == paths::PUBLISH_IDENTITY_UPDATE;
        async move { if lost { Fate::LoseAnswer } else { Fate::Pass } }.boxed_local()
    });
    let a = world.open_with(&device, Some(hook)).unwrap();
    let wallet = world.wallet();
    let request = add_account(&world, &a, &wallet);
    sign(&world, &a, request.clone(), &wallet).unwrap();
    assert_eq!(world.node.identity_updates(a.inbox_id()), 2);
    // Handed in once more, after a reload for instance, it is still one.
    sign(&world, &a, request, &wallet).unwrap();
    assert_eq!(world.node.identity_updates(a.inbox_id()), 2);
}

#[test]
fn a_contract_wallet_signs_on_the_chain_on_which_it_joined() {
    let world = World::new(113);
    let device = world.device();
    let a = world.open(&device).unwrap();
    let contract = world.wallet().identifier();
    let sign_as = |request: SignatureRequest, chain_id: u64, contract: &Identifier| {
        let client = a.client.clone();
        let contract = contract.clone();
        world.run(async move {
            let mut request = request;
            let hash = sotto::identity::eip191_hash(request.text());
            let signature = WalletSignature::Contract {
                chain_id,
                block_number: None,
                signature: hash.to_vec(),
            };
            client
                .apply_signature(&mut request, &contract, signature)
                .await
        })
    };
    let adding = {
        let contract = contract.clone();
        ask(&world, &a, |client| async move {
            client.request_add_account(&contract, false).await
        })
    };
    sign_as(adding, 8453, &contract).unwrap();
    let request = change_recovery(&world, &a, contract.clone());
    sign(&world, &a, request, &device.wallet).unwrap();
    let updates = world.node.identity_updates(a.inbox_id());

    let back = change_recovery(&world, &a, device.wallet.identifier());
    let error = sign_as(back.clone(), 1, &contract).unwrap_err();
    assert_eq!(error.code(), Code::ChainMismatch);
    assert_eq!(world.node.identity_updates(a.inbox_id()), updates);
    sign_as(back, 8453, &contract).unwrap();
    assert_eq!(world.node.identity_updates(a.inbox_id()), updates + 1);
}

#[test]
fn a_store_opens_for_members_of_its_inbox_only() {
    let world = World::new(114);
    let device = world.device();
    let a = world.open(&device).unwrap();
    let wallet = world.wallet();
    let mut guest = device.clone();
    guest.wallet = Rc::clone(&wallet);
    let error = world.open(&guest).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::SignerMismatch);
    let request = add_account(&world, &a, &wallet);
    sign(&world, &a, request, &wallet).unwrap();
    let again = world.open(&guest).unwrap();
    assert_eq!(again.me.installation, a.me.installation);
}
