// Lets a server that is not root listen on low ports where its file says that it may (setcap cap_net_bind_service=+p).
//
// With the file capability in effect from the start (+ep) that would need no code, but the kernel refuses to run such a
// file where the capability is out of reach, as in a container that drops all. Capabilities belong to threads, and those
// that are made later inherit them: so before main(), while there is one.
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((constructor)) static void take_up_low_ports(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, sets) != 0) return;
  struct __user_cap_data_struct *const set = &sets[CAP_TO_INDEX(CAP_NET_BIND_SERVICE)];
  const __u32 bit = CAP_TO_MASK(CAP_NET_BIND_SERVICE);
  if (!(set->permitted & bit) || (set->effective & bit)) return;
  set->effective |= bit;
  syscall(SYS_capset, &header, sets);
}
