use std::time::Instant;
use tidegate::registry::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let rt = tokio::runtime::Runtime::new().unwrap();
    let t = Instant::now();
    rt.block_on(async {
        let r = ObjectBacked::directory(&a[2]).await.unwrap();
        if a[1] == "publish" {
            r.publish(
                Draft::new("m@1.0.0".parse().unwrap(), Stamp::now("x")),
                Content::directory(&a[3]),
                &(),
            )
            .await
            .unwrap();
        } else {
            r.download(&"m@1.0.0".parse().unwrap(), a[3].as_ref(), &()).await.unwrap();
        }
    });
    println!("{} {:.3}", a[1], t.elapsed().as_secs_f64());
}
