// SPDX-License-Identifier: MIT
import java.nio.ByteBuffer;

/** Memory [small|large]: keeps many small objects, or 64 MiB in large blocks outside of Java's heap. */
public class Memory {
    static Object[] kept;

    public static void main(String[] arguments) {
        String what = arguments.length > 0 ? arguments[0] : "";
        if (what.equals("small")) {
            kept = new Object[400000];
            for (int i = 0; i < kept.length; i++) kept[i] = new String[] {"" + i};
        } else if (what.equals("large")) {
            kept = new Object[64];
            for (int i = 0; i < kept.length; i++) kept[i] = ByteBuffer.allocateDirect(1 << 20);
        }
    }
}
