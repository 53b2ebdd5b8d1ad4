use aya::{programs::*, *};
use vedette_agent::btf::{Btf as KBtf, resolve_all};
fn main() {
    let t = std::time::Instant::now();
    let btf = KBtf::of_kernel().unwrap();
    println!("parse {:?}", t.elapsed());
    let o = resolve_all(&btf).unwrap();
    println!("resolve {:?} missing {:?}", t.elapsed(), o.missing());
    println!("exit args {:?} {:?}", btf.tracepoint_args("sched_process_exit"), btf.enumerator("cgroup_subsys_id","memory_cgrp_id"));
    let data = std::fs::read("target/ebpf/bpfel-unknown-none/release/vedette-ebpf").unwrap();
    let kb = aya::Btf::from_sys_fs().unwrap();
    println!("aya btf {:?}", t.elapsed());
    let mut l = EbpfLoader::new();
    l.btf(Some(&kb));
    let vals: Vec<(&str,u32)> = o.globals().collect();
    for (s,v) in &vals { l.override_global(s, v, true); }
    let one=1u32; l.override_global("EXIT_HAS_GROUP_DEAD", &one, true);
    let sub=btf.enumerator("cgroup_subsys_id","memory_cgrp_id").unwrap(); l.override_global("CGROUP_SUBSYS", &sub, true);
    l.map_max_entries("RECORDS", 2).map_max_entries("PATHS",2).map_max_entries("STATE", 1<<20).map_max_entries("EVENTS",1<<20);
    let mut e = match l.load(&data) { Ok(e)=>e, Err(e)=>{println!("{e:?}"); return} };
    println!("load {:?}", t.elapsed());
    let names: Vec<String> = e.programs().map(|(n,_)| n.to_string()).collect();
    for n in names {
        let t = std::time::Instant::now();
        let p = e.program_mut(&n).unwrap();
        let r = match p { Program::BtfTracePoint(p) => { let tp = match n.as_str() {"process_fork"=>"sched_process_fork","process_exec"=>"sched_process_exec","process_exit"=>"sched_process_exit","file_open"|"net_connect"|"sys_exit"=>"sys_exit",x=>x}.to_string(); p.load(&tp,&kb) }, Program::Iter(p)=>p.load("task",&kb), _=>panic!() };
        match r { Ok(()) => println!("{n} ok {:?} insns {:?}", t.elapsed(), p.info().unwrap().verified_instruction_count()), Err(er) => { let s=format!("{er}\n{er:?}"); let s = s.replace("\\n","\n"); println!("{n} FAIL {}", if s.len()>6000 {&s[s.len()-6000..]} else {&s}); } }
    }
}
