//! urlfetch beside its peers.

mod folder;
mod pki;
mod server;
mod table;
mod tool;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let pki = pki::Pki::mint()?;
    let nginx = server::Nginx::start(&pki, None)?;
    println!(
        "{} {}",
        pki.ca.display(),
        nginx.url(server::Door::Http2, "/small")
    );
    for tool in tool::Tool::all() {
        println!("{}: {}", tool.name, tool.shown());
    }
    for door in [
        server::Door::Http1,
        server::Door::Http2,
        server::Door::Full,
        server::Door::Resumed,
    ] {
        let url = nginx.url(door, "/small");
        let out = std::process::Command::new("curl")
            .args(["-sv", "--cacert"])
            .arg(&pki.ca)
            .arg(url)
            .output()?;
        println!(
            "{}",
            String::from_utf8_lossy(&out.stderr)
                .lines()
                .filter(|l| l.contains("SSL")
                    || l.contains("HTTP")
                    || l.contains("reused")
                    || l.contains("eused")
                    || l.contains("ewsession"))
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
    Ok(())
}
