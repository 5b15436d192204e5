//! A wall clock that is set back while Deputy runs, and before it starts.

use deputy::base::time::Seconds;

use crate::world::{World, on_both, story::TICKETS};

on_both! {
    a_clock_that_is_set_back_revives_nothing
}

const AN_HOUR: Seconds = Seconds::new(3_600);

async fn a_clock_that_is_set_back_revives_nothing(world: World) {
    let exchange = || world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let old = world.alice();
    let expired = exchange().scope("tickets:read").token().await;
    world.advance(1_200).await;
    let live = exchange().scope("tickets:read").token().await;
    let tickets = world.server("tickets");
    assert!(!tickets.accepts(&expired).await && tickets.accepts(&live).await);
    world.deputy.clock().set_back(AN_HOUR);
    assert!(!tickets.accepts(&expired).await && tickets.accepts(&live).await);
    // Nor is a user's token of before good once more, or a new one of ours younger than it is.
    let again = world.agent("support").exchanges(&old).at(TICKETS).scope("tickets:read");
    again.send().await.is_refused("invalid_request");
    let later = exchange().scope("tickets:read").token().await;
    world.advance(1_200).await;
    assert!(!tickets.accepts(&live).await && !tickets.accepts(&later).await);
}

/// Clocks may differ by a minute; one that is further behind what was signed is not believed.
#[tokio::test]
async fn an_instance_whose_clock_is_behind_does_not_start() {
    let world = World::on_postgres().await;
    world.advance(1).await;
    world.deputy.checkpoint().await.unwrap();
    let now = world.deputy.now();
    for (behind, starts) in [(60, true), (61, false)] {
        match world.starts_at(now.minus(Seconds::new(behind))).await {
            Ok(deputy) => {
                assert!(starts, "{behind} s behind");
                deputy.stop().await;
            }
            Err(fault) => {
                assert!(!starts, "{behind} s behind: {fault}");
                assert!(fault.to_string().contains("set the clock"), "{fault}");
            }
        }
    }
}
