use riad_services::Services;

#[derive(Clone)]
pub struct ConsoleState {
    pub(crate) services: Services,
}
