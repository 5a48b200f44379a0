//! The command line of the simulator; all of it is in the library.

fn main() -> std::process::ExitCode {
    dukcapil_fr_sim::internals::main()
}
