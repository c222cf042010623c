use proconsul_conformance::traffic::Traffic;
fn main() {
    let seed = std::env::args().nth(1).unwrap().parse().unwrap();
    let n = std::env::args().nth(2).unwrap().parse().unwrap();
    for (i, step) in Traffic::new(seed).take(n).enumerate() { println!("{} {} {} {}", i + 1, step.request.method, step.request.target, String::from_utf8_lossy(&step.request.body).chars().take(3000).collect::<String>()); }
}
