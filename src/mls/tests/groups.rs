//! Creating, adding, removing, racing.

use super::*;

#[test]
fn members_of_a_new_group_agree_and_read_each_other() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_group_survives_a_reload_of_every_member() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    for client in &mut clients {
        client.reload();
    }
    assert_converged(&mut clients, &logs);
}
