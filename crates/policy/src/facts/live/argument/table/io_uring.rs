//! io_uring: rings and what is registered with them. What is done through a ring is reported as what it does.

use vedette_event::abi::Call;

use super::{Argument, Form, From, RES, number_of as n};

/// `IORING_SETUP_*` of `<linux/io_uring.h>`; so are the following.
const SETUP: &[(u64, &str)] = &[
    (1 << 0, "IORING_SETUP_IOPOLL"),
    (1 << 1, "IORING_SETUP_SQPOLL"),
    (1 << 2, "IORING_SETUP_SQ_AFF"),
    (1 << 3, "IORING_SETUP_CQSIZE"),
    (1 << 4, "IORING_SETUP_CLAMP"),
    (1 << 5, "IORING_SETUP_ATTACH_WQ"),
    (1 << 6, "IORING_SETUP_R_DISABLED"),
    (1 << 7, "IORING_SETUP_SUBMIT_ALL"),
    (1 << 8, "IORING_SETUP_COOP_TASKRUN"),
    (1 << 9, "IORING_SETUP_TASKRUN_FLAG"),
    (1 << 10, "IORING_SETUP_SQE128"),
    (1 << 11, "IORING_SETUP_CQE32"),
    (1 << 12, "IORING_SETUP_SINGLE_ISSUER"),
    (1 << 13, "IORING_SETUP_DEFER_TASKRUN"),
    (1 << 14, "IORING_SETUP_NO_MMAP"),
    (1 << 15, "IORING_SETUP_REGISTERED_FD_ONLY"),
    (1 << 16, "IORING_SETUP_NO_SQARRAY"),
    (1 << 17, "IORING_SETUP_HYBRID_IOPOLL"),
    (1 << 18, "IORING_SETUP_CQE_MIXED"),
];

/// `IORING_FEAT_*`
const FEATURES: &[(u64, &str)] = &[
    (1 << 0, "IORING_FEAT_SINGLE_MMAP"),
    (1 << 1, "IORING_FEAT_NODROP"),
    (1 << 2, "IORING_FEAT_SUBMIT_STABLE"),
    (1 << 3, "IORING_FEAT_RW_CUR_POS"),
    (1 << 4, "IORING_FEAT_CUR_PERSONALITY"),
    (1 << 5, "IORING_FEAT_FAST_POLL"),
    (1 << 6, "IORING_FEAT_POLL_32BITS"),
    (1 << 7, "IORING_FEAT_SQPOLL_NONFIXED"),
    (1 << 8, "IORING_FEAT_EXT_ARG"),
    (1 << 9, "IORING_FEAT_NATIVE_WORKERS"),
    (1 << 10, "IORING_FEAT_RSRC_TAGS"),
    (1 << 11, "IORING_FEAT_CQE_SKIP"),
    (1 << 12, "IORING_FEAT_LINKED_FILE"),
    (1 << 13, "IORING_FEAT_REG_REG_RING"),
    (1 << 14, "IORING_FEAT_RECVSEND_BUNDLE"),
    (1 << 15, "IORING_FEAT_MIN_TIMEOUT"),
    (1 << 16, "IORING_FEAT_RW_ATTR"),
    (1 << 17, "IORING_FEAT_NO_IOWAIT"),
];

/// `IORING_ENTER_*`
const ENTER: &[(u64, &str)] = &[
    (1 << 0, "IORING_ENTER_GETEVENTS"),
    (1 << 1, "IORING_ENTER_SQ_WAKEUP"),
    (1 << 2, "IORING_ENTER_SQ_WAIT"),
    (1 << 3, "IORING_ENTER_EXT_ARG"),
    (1 << 4, "IORING_ENTER_REGISTERED_RING"),
    (1 << 5, "IORING_ENTER_ABS_TIMER"),
    (1 << 6, "IORING_ENTER_EXT_ARG_REG"),
    (1 << 7, "IORING_ENTER_NO_IOWAIT"),
];

/// `enum io_uring_register_op`
const REGISTER: &[(u64, &str)] = &[
    (0, "IORING_REGISTER_BUFFERS"),
    (1, "IORING_UNREGISTER_BUFFERS"),
    (2, "IORING_REGISTER_FILES"),
    (3, "IORING_UNREGISTER_FILES"),
    (4, "IORING_REGISTER_EVENTFD"),
    (5, "IORING_UNREGISTER_EVENTFD"),
    (6, "IORING_REGISTER_FILES_UPDATE"),
    (7, "IORING_REGISTER_EVENTFD_ASYNC"),
    (8, "IORING_REGISTER_PROBE"),
    (9, "IORING_REGISTER_PERSONALITY"),
    (10, "IORING_UNREGISTER_PERSONALITY"),
    (11, "IORING_REGISTER_RESTRICTIONS"),
    (12, "IORING_REGISTER_ENABLE_RINGS"),
    (13, "IORING_REGISTER_FILES2"),
    (14, "IORING_REGISTER_FILES_UPDATE2"),
    (15, "IORING_REGISTER_BUFFERS2"),
    (16, "IORING_REGISTER_BUFFERS_UPDATE"),
    (17, "IORING_REGISTER_IOWQ_AFF"),
    (18, "IORING_UNREGISTER_IOWQ_AFF"),
    (19, "IORING_REGISTER_IOWQ_MAX_WORKERS"),
    (20, "IORING_REGISTER_RING_FDS"),
    (21, "IORING_UNREGISTER_RING_FDS"),
    (22, "IORING_REGISTER_PBUF_RING"),
    (23, "IORING_UNREGISTER_PBUF_RING"),
    (24, "IORING_REGISTER_SYNC_CANCEL"),
    (25, "IORING_REGISTER_FILE_ALLOC_RANGE"),
    (26, "IORING_REGISTER_PBUF_STATUS"),
    (27, "IORING_REGISTER_NAPI"),
    (28, "IORING_UNREGISTER_NAPI"),
    (29, "IORING_REGISTER_CLOCK"),
    (30, "IORING_REGISTER_CLONE_BUFFERS"),
    (31, "IORING_REGISTER_SEND_MSG_RING"),
    (32, "IORING_REGISTER_ZCRX_IFQ"),
    (33, "IORING_REGISTER_RESIZE_RINGS"),
    (34, "IORING_REGISTER_MEM_REGION"),
    (35, "IORING_REGISTER_QUERY"),
];

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const FD: Argument = n("fd", From::Arg(0), Form::Int);
    Some(match call {
        // The words are those of `struct io_uring_params` as the kernel filled it.
        Call::IoUringSetup => {
            const {
                &[
                    RES,
                    n("entries", From::Arg(0), Form::Dec),
                    n("sq_entries", From::Low(0), Form::Dec),
                    n("cq_entries", From::High(0), Form::Dec),
                    n("flags", From::Low(1), Form::Flags(SETUP)),
                    n("sq_thread_cpu", From::High(1), Form::Dec),
                    n("sq_thread_idle", From::Low(2), Form::Dec),
                    n("features", From::High(2), Form::Flags(FEATURES)),
                ]
            }
        }
        Call::IoUringEnter => {
            const {
                &[
                    RES,
                    FD,
                    n("to_submit", From::Arg(1), Form::Dec),
                    n("min_complete", From::Arg(2), Form::Dec),
                    n("flags", From::Arg(3), Form::Flags(ENTER)),
                    n("sig", From::Arg(4), Form::Hex),
                ]
            }
        }
        Call::IoUringRegister => {
            const {
                &[
                    RES,
                    FD,
                    n("opcode", From::Arg(1), Form::Choice(REGISTER)),
                    n("arg", From::Arg(2), Form::Hex),
                    n("nr_args", From::Arg(3), Form::Dec),
                ]
            }
        }
        Call::IoUringOther => const { &[RES, FD] },
        _ => return None,
    })
}
