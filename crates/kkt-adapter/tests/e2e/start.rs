//! What it says when it cannot start, and when it can.

use super::harness::{Setup, run, simulator};

fn refused(setup: &Setup, words: &[&str]) {
    let (code, _, stderr) = run(setup.command(&["serve"]));
    assert_ne!(code, Some(0), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "«{word}» is not in:\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

// P8
#[tokio::test]
async fn a_second_instance_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    refused(&setup, &["buffer.db", "another"]);
    adapter.sell("POS-001").await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new("http://127.0.0.1:9").with("KKT_SERVER__LISTEN", &address);
    refused(&setup, &[&address, "in use"]);
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_made_is_named() {
    let setup = Setup::new("http://127.0.0.1:9");
    std::fs::write(setup.path().join("data"), "a file stands where the folder should be").unwrap();
    let path = setup.path().join("data").display().to_string();
    refused(&setup, &[&path]);
}

#[tokio::test]
async fn bad_values_are_refused_with_the_field_the_value_and_the_range() {
    let setup = Setup::new("http://127.0.0.1:9")
        .with("KKT_BREAKER__FAILURE_THRESHOLD", "0")
        .with("KKT_SYNC__MAX_LANES", "-3")
        .with("KKT_SYNC__INTERVAL", "soon");
    refused(&setup, &["failure_threshold", "max_lanes", "-3", "interval", "soon"]);
}

#[tokio::test]
async fn listening_beyond_this_machine_without_tokens_is_refused() {
    let setup = Setup::new("http://127.0.0.1:9").with("KKT_SERVER__LISTEN", "0.0.0.0:0");
    refused(&setup, &["server.listen", "allow_anonymous"]);
}

#[tokio::test]
async fn a_broken_file_is_refused_with_the_place() {
    let setup = Setup::new("http://127.0.0.1:9");
    let config = setup.path().join("broken.toml");
    std::fs::write(&config, "[breaker]\nfailure_treshold = 5\n").unwrap();
    let mut command = setup.command(&["serve"]);
    command.env("KKT_ADAPTER_IGNORED", "1");
    let mut command = std::process::Command::new(command.get_program());
    command.args(["serve", "--config"]).arg(&config).current_dir(setup.path());
    let (code, _, stderr) = run(command);
    assert_ne!(code, Some(0));
    assert!(stderr.contains("failure_treshold") && stderr.contains("failure_threshold"), "{stderr}");
}

#[tokio::test]
async fn everything_says_that_nothing_here_is_fiscal() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    assert_eq!(adapter.sell("POS-001").await["fiscal"], false);
    assert_eq!(adapter.get("/v1/health").await["fiscal"], false);
    assert!(adapter.log().contains("NOT FISCAL"), "{}", adapter.log());
}

#[tokio::test]
async fn the_demo_ends_with_nothing_lost_and_nothing_doubled() {
    let setup = Setup::new("http://127.0.0.1:9");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
    command.arg("demo").current_dir(setup.path());
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    for word in ["OPEN", "HALF_OPEN", "CLOSED", "lost", "counted twice"] {
        assert!(stdout.contains(word), "«{word}» is not in:\n{stdout}");
    }
    assert!(!stdout.contains('\u{1b}'), "no colours where nobody sees them");
}
