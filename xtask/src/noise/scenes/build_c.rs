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
"##,
};
