//! The state machine of RFC 4271 §8.2.2, for one connection: a table of what each event means in each state.
//!
//! Three things differ from the text, for reasons given at their place: a connection that cannot be made, or not in
//! time, leads to Active, a NOTIFICATION is never answered with one, and the send hold timer (RFC 9687) is an event.

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is under way: it waits before the next attempt, or was told to rest.
    Idle,
    /// A connection is being made.
    Connect,
    /// It could not be made; the next attempt has a date.
    Active,
    /// It is there, and our OPEN is on its way.
    OpenSent,
    /// Their OPEN was good; so far they have not said that ours was.
    OpenConfirm,
    /// Routes flow.
    Established,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Connect, Self::Active, Self::OpenSent, Self::OpenConfirm, Self::Established];

    /// As RFC 4271 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        }
    }
}

/// What happens to a connection. The numbers are those of RFC 4271 §8.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// 1, 3, 13: begin, or begin again after a wait.
    Start,
    /// 2, 8: end it.
    Stop,
    /// 9.
    ConnectRetryExpires,
    /// 10.
    HoldExpires,
    /// 11.
    KeepaliveDue,
    /// RFC 9687: the peer reads nothing of what we have for it.
    SendHoldExpires,
    /// 16, 17.
    Connected,
    /// 18.
    ConnectionFails,
    /// 19: an OPEN that we accept.
    OpenReceived,
    /// 21, 22, 28: what came cannot be understood, or not be accepted.
    BadMessage,
    /// 23.
    CollisionLost,
    /// 24, 25.
    NotificationReceived,
    /// 26.
    KeepaliveReceived,
    /// 27.
    UpdateReceived,
    /// RFC 2918.
    RefreshReceived,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Start,
        Self::Stop,
        Self::ConnectRetryExpires,
        Self::HoldExpires,
        Self::KeepaliveDue,
        Self::SendHoldExpires,
        Self::Connected,
        Self::ConnectionFails,
        Self::OpenReceived,
        Self::BadMessage,
        Self::CollisionLost,
        Self::NotificationReceived,
        Self::KeepaliveReceived,
        Self::UpdateReceived,
        Self::RefreshReceived,
    ];
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Make a connection, and give it some time.
    Dial,
    /// Set a date for the next attempt.
    AwaitRetry,
    /// Set a date for the next beginning.
    BackOff,
    /// Send OPEN, and wait long for theirs.
    SendOpen,
    /// Send KEEPALIVE, and set a date for the next.
    SendKeepalive,
    /// They are there: their silence counts from now.
    ArmHold,
    /// Close the connection.
    Close,
    /// Say why, and close the connection.
    Farewell,
    /// Routes may flow.
    Up,
    /// Count what they announce.
    TakeRoutes,
    /// Tell them again.
    Refresh,
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state from now on.
    pub next: State,
    /// What to do, in that order.
    pub actions: &'static [Action],
}

const fn to(next: State, actions: &'static [Action]) -> Step {
    Step { next, actions }
}

/// What `event` means in `state`.
pub const fn step(state: State, event: Event) -> Step {
    match state {
        State::Idle => idle(event),
        State::Connect => connect(event),
        State::Active => active(event),
        State::OpenSent => open_sent(event),
        State::OpenConfirm => open_confirm(event),
        State::Established => established(event),
    }
}

const fn idle(event: Event) -> Step {
    match event {
        Event::Start => to(State::Connect, &[Action::Dial]),
        // RFC 4271 §8.2.2: in Idle every connection is refused.
        Event::Connected => to(State::Idle, &[Action::Close]),
        // Stopping ends the wait for a next beginning: that is what having no date means.
        Event::Stop
        | Event::ConnectRetryExpires
        | Event::HoldExpires
        | Event::KeepaliveDue
        | Event::SendHoldExpires
        | Event::ConnectionFails
        | Event::OpenReceived
        | Event::BadMessage
        | Event::CollisionLost
        | Event::NotificationReceived
        | Event::KeepaliveReceived
        | Event::UpdateReceived
        | Event::RefreshReceived => to(State::Idle, &[]),
    }
}

const fn connect(event: Event) -> Step {
    match event {
        Event::Start => to(State::Connect, &[]),
        Event::Stop | Event::CollisionLost => to(State::Idle, &[Action::Close]),
        // The text connects again at once. But a router that does not answer is waited for as one that refuses is.
        Event::ConnectRetryExpires => to(State::Active, &[Action::Close, Action::AwaitRetry]),
        Event::Connected => to(State::OpenSent, &[Action::SendOpen]),
        // The text has Idle here, whose wait is meant for peers that misbehave. Nobody did.
        Event::ConnectionFails => to(State::Active, &[Action::AwaitRetry]),
        Event::HoldExpires
        | Event::KeepaliveDue
        | Event::SendHoldExpires
        | Event::OpenReceived
        | Event::BadMessage
        | Event::NotificationReceived
        | Event::KeepaliveReceived
        | Event::UpdateReceived
        | Event::RefreshReceived => to(State::Idle, &[Action::Close, Action::BackOff]),
    }
}

const fn active(event: Event) -> Step {
    match event {
        // The attempt that fails was given up before: the date of the next stands.
        Event::Start | Event::ConnectionFails => to(State::Active, &[]),
        Event::Stop | Event::CollisionLost => to(State::Idle, &[]),
        Event::ConnectRetryExpires => to(State::Connect, &[Action::Dial]),
        Event::Connected => to(State::OpenSent, &[Action::SendOpen]),
        Event::HoldExpires
        | Event::KeepaliveDue
        | Event::SendHoldExpires
        | Event::OpenReceived
        | Event::BadMessage
        | Event::NotificationReceived
        | Event::KeepaliveReceived
        | Event::UpdateReceived
        | Event::RefreshReceived => to(State::Idle, &[Action::BackOff]),
    }
}

const fn open_sent(event: Event) -> Step {
    match event {
        Event::Start | Event::Connected => to(State::OpenSent, &[]),
        Event::Stop | Event::CollisionLost => to(State::Idle, &[Action::Farewell]),
        Event::ConnectionFails => to(State::Active, &[Action::AwaitRetry]),
        Event::OpenReceived => to(State::OpenConfirm, &[Action::SendKeepalive, Action::ArmHold]),
        // The text answers with an FSM error; but who said why it leaves does not listen any more.
        Event::NotificationReceived => to(State::Idle, &[Action::Close, Action::BackOff]),
        Event::ConnectRetryExpires
        | Event::HoldExpires
        | Event::KeepaliveDue
        | Event::SendHoldExpires
        | Event::BadMessage
        | Event::KeepaliveReceived
        | Event::UpdateReceived
        | Event::RefreshReceived => to(State::Idle, &[Action::Farewell, Action::BackOff]),
    }
}

const fn open_confirm(event: Event) -> Step {
    match event {
        Event::Start | Event::Connected => to(State::OpenConfirm, &[]),
        Event::Stop | Event::CollisionLost => to(State::Idle, &[Action::Farewell]),
        Event::KeepaliveDue => to(State::OpenConfirm, &[Action::SendKeepalive]),
        Event::KeepaliveReceived => to(State::Established, &[Action::ArmHold, Action::Up]),
        Event::ConnectionFails | Event::NotificationReceived => {
            to(State::Idle, &[Action::Close, Action::BackOff])
        }
        Event::ConnectRetryExpires
        | Event::HoldExpires
        | Event::SendHoldExpires
        | Event::OpenReceived
        | Event::BadMessage
        | Event::UpdateReceived
        | Event::RefreshReceived => to(State::Idle, &[Action::Farewell, Action::BackOff]),
    }
}

const fn established(event: Event) -> Step {
    match event {
        Event::Start | Event::Connected => to(State::Established, &[]),
        Event::Stop | Event::CollisionLost => to(State::Idle, &[Action::Farewell]),
        Event::KeepaliveDue => to(State::Established, &[Action::SendKeepalive]),
        Event::KeepaliveReceived => to(State::Established, &[Action::ArmHold]),
        Event::UpdateReceived => to(State::Established, &[Action::ArmHold, Action::TakeRoutes]),
        Event::RefreshReceived => to(State::Established, &[Action::ArmHold, Action::Refresh]),
        Event::ConnectionFails | Event::NotificationReceived => {
            to(State::Idle, &[Action::Close, Action::BackOff])
        }
        Event::ConnectRetryExpires
        | Event::HoldExpires
        | Event::SendHoldExpires
        | Event::OpenReceived
        | Event::BadMessage => to(State::Idle, &[Action::Farewell, Action::BackOff]),
    }
}
