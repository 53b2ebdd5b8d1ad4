//! Building a program in C.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "build_c",
    what: "C: generate, configure, compile with make -j, link, install, clean",
    needs: &["gcc", "make", "ar"],
    quick: true,
    script: r##"mkdir -p project/src && cd project
i=0
while [ $i -lt 12 ]; do
  i=$((i + 1))
  printf '#include <stdio.h>\nint f%d(int x) { return x * %d; }\n' $i $i > src/f$i.c
done
printf '#include <stdio.h>\nint f1(int);\nint main(void) { printf("%%d\\n", f1(42)); return 0; }\n' > src/main.c
cat > Makefile <<'MAKE'
OBJECTS := $(patsubst src/%.c,out/%.o,$(filter-out src/main.c,$(wildcard src/*.c)))
all: out/program out/libf.so
out/%.o: src/%.c ; @mkdir -p out; $(CC) -O2 -fPIC -c $< -o $@
out/libf.a: $(OBJECTS) ; $(AR) rcs $@ $^
out/libf.so: $(OBJECTS) ; $(CC) -shared -o $@ $^
out/program: src/main.c out/libf.a ; $(CC) -o $@ $^
install: all ; install -D -m 755 out/program $(DESTDIR)/usr/local/bin/noise-program; install -D -m 644 out/libf.so $(DESTDIR)/usr/local/lib/libnoise-f.so
clean: ; rm -rf out
MAKE
cat > configure <<'CONFIGURE'
#!/bin/sh
for header in stdio.h stdlib.h unistd.h sys/ptrace.h; do
  echo "#include <$header>" > conftest.c
  gcc -c conftest.c -o conftest.o && echo "has $header"
done
printf 'int main(void){return 0;}' > conftest.c && gcc conftest.c -o conftest && ./conftest
rm -f conftest*
CONFIGURE
chmod +x configure && ./configure
make -j2 && ./out/program
make install DESTDIR="$PWD/stage" && make install && ldconfig && noise-program
gcc -g -o debuggable src/main.c src/f1.c && nm debuggable >/dev/null && strip debuggable && ./debuggable
LD_LIBRARY_PATH="$PWD/out" ./out/program
make clean
if command -v cmake >/dev/null; then
  printf 'cmake_minimum_required(VERSION 3.10)\nproject(noise C)\nadd_executable(noise-cmake src/main.c src/f1.c)\nenable_testing()\nadd_test(NAME runs COMMAND noise-cmake)\ninstall(TARGETS noise-cmake DESTINATION bin)\n' > CMakeLists.txt
  cmake -S . -B build >/dev/null && cmake --build build -j 2 >/dev/null && (cd build && ctest -Q) && cmake --install build --prefix "$PWD/stage" >/dev/null
fi
! command -v gdb >/dev/null || gdb -batch -ex run -ex bt ./debuggable >/dev/null 2>&1 || true
! command -v strace >/dev/null || strace -f -o trace ./debuggable || true
cat > plugin.c <<'PLUGIN'
#include <stdlib.h>
#include <sys/mman.h>
#include <string.h>
/* As just-in-time compilers do. */
int main(void) {
  unsigned char code[] = {0xb8, 7, 0, 0, 0, 0xc3};
  void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, sizeof code); mprotect(page, 4096, PROT_READ | PROT_EXEC);
#ifdef __x86_64__
  return ((int (*)(void))page)() == 7 ? 0 : 1;
#else
  return 0;
#endif
}
PLUGIN
gcc -O1 -o plugin plugin.c && ./plugin; ccache --version >/dev/null 2>&1 || true; patch --version >/dev/null 2>&1 || true
"##,
};
