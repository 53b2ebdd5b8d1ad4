//! Values of settings that are more than text, as agent, controller and tools have them: each says what is wrong with it,
//! on the command line and in a file.

mod address;
mod controller_url;
mod log_level;

pub use address::Address;
pub use controller_url::{CONTROLLER_PORT, ControllerUrl, unix_path};
pub use log_level::LogLevel;
