//! The company's agents: what each does, how often, what its manifest declares and what it was granted
//! beyond its work. Every row of a vocabulary lies inside the declaration of the same agent.

use super::company::{Act, Actor, Hours, Kind, Place, Rhythm, Start};
use super::target::On;
use super::{customers, operations};

/// A container's task.
pub const ECS: Start = Start::Service("ecs-tasks.amazonaws.com");

/// The model that the company uses.
pub const NOVA: On = On::Model("amazon.nova-lite-v1:0");

const BOTO: &[&str] = &[
    "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#6.8 md/arch#x86_64 lang/python#3.13.5",
    "Boto3/1.40.18 md/Botocore#1.40.18 ua/2.1 os/linux#6.8 md/arch#aarch64 lang/python#3.13.5",
];

/// Every identity of every agent.
pub fn agents() -> impl Iterator<Item = &'static Actor> {
    customers::AGENTS.iter().chain(operations::AGENTS)
}

/// An account and a region.
pub const fn place(account: &'static str, region: &'static str) -> Place {
    Place { account, region }
}

/// At all hours: sessions in a day, and calls in a session.
pub const fn around_the_clock(sessions: u32, calls: (u32, u32)) -> Rhythm {
    Rhythm { hours: Hours::Always, sessions, calls, pace: (1, 25) }
}

/// What most agents share: a function's role, no monthly job, no extra grant, there from the first day.
pub const fn agent(name: &'static str, kind: Kind, home: Place, acts: &'static [Act]) -> Actor {
    Actor {
        name,
        agent: Some(name),
        kind,
        home,
        rhythm: around_the_clock(40, (3, 8)),
        start: Start::Service("lambda.amazonaws.com"),
        session: "run-######",
        user_agents: BOTO,
        network: "10.20.14",
        acts,
        monthly: &[],
        born: None,
        declares: None,
        grants: &[],
        boundary: None,
    }
}
